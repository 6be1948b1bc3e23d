"""The task `reconstruct`: training images from their learned codes, held-out images from codes fitted to them."""

from typing import Any

import numpy as np

from glo import pictures
from glo.data.lazy_array import Rows
from glo.data.randomness import Stream
from glo.evaluation.session import Session
from glo.runtime.log import logger

SHOWN = 32  # images in a panel
MEASURED = 10_000  # training images, at most; --metrics measures all


def run(session: Session) -> dict[str, Any]:
    """Measure reconstructions of at most `MEASURED` training images, and of at most --num_fit held-out images.

    Writes a picture with some of each.
    """
    decoder, loss = session.run.decoder, session.run.loss
    images, codes, conditions = session.images, session.run.codes, session.run.conditions
    most = len(images) if session.settings.metrics else MEASURED
    rows = session.choose(np.arange(len(images)), most, Stream.MEASURED_RECONSTRUCTIONS)
    results = {"train": decoder.measure(codes[rows], Rows(images, rows), loss, conditions[rows]).result()}
    rows = session.choose(np.arange(len(images)), SHOWN, Stream.SHOWN_RECONSTRUCTIONS)
    panels = [_panels("train", results["train"], images[rows], decoder.images(codes[rows], conditions[rows]))]
    if len(session.dataset.test_rows):
        held_out, fit = session.held_out_fit
        results["test"] = decoder.measure(fit.codes, held_out, loss, fit.conditions).result()
        reconstructed = decoder.images(fit.codes[:SHOWN], fit.conditions[:SHOWN])
        panels.append(_panels("held-out", results["test"], held_out[:SHOWN], reconstructed))
    else:
        logger.warning("%s has no held-out images: only training images are reconstructed", session.dataset.path)
    pictures.save(session.path("reconstruct", "png"), pictures.below(*panels))
    for name, result in results.items():
        logger.info(
            "%s PSNR %.2f dB pooled over all pixels, %.2f dB averaged over images, l1 %.4f (%d images)",
            name, result["psnr"], result["psnr_image_mean"], result["l1"], result["n"],
        )  # fmt: skip
    return results


def _panels(name: str, result: dict[str, Any], originals: np.ndarray, reconstructions: np.ndarray) -> np.ndarray:
    """A picture of originals beside their reconstructions, both uint8 [n, H, W, C]."""
    return pictures.beside(
        pictures.panel(f"{name}: originals", originals),
        pictures.panel(f"reconstructions, {result['psnr']:.1f} dB", reconstructions),
    )
