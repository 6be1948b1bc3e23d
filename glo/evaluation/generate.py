"""The task `generate`: images of codes drawn from a sampler that is fitted to the learned codes."""

import math
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from glo import pictures
from glo.data.labels import ImageClass
from glo.data.randomness import Stream
from glo.evaluation import copying, results
from glo.evaluation.session import Session
from glo.features import extractors
from glo.inference.neighbors import nearest
from glo.metrics import memorization
from glo.runtime import files
from glo.runtime.log import logger
from glo.samplers.cache import Fitted

NEIGHBORS = 10  # samples that are shown with their nearest training image
COMPARED = 1000  # number of samples for the measures of copying, which compare them with as many held-out images
SHOWN = 1024  # at most this many samples are shown


def run(session: Session) -> dict[str, Any]:
    """Draw samples, show some of them with their nearest training images, and measure how many are near copies.

    Writes a picture, an .npz with `image` and `code`, and numbered PNGs with --export_samples.
    """
    settings, sampler, decoder = session.settings, session.sampler, session.run.decoder
    codes, conditions = session.draw(sampler, max(settings.num_samples, COMPARED), session.image_class)
    images = decoder.images(codes, conditions)
    copied = _copying(session, images[:COMPARED])
    codes, images = codes[: settings.num_samples], images[: settings.num_samples]
    title = describe(session, session.image_class) + ", near-memorising" * bool(copied.get("near_memorising"))
    some = images[:NEIGHBORS]
    neighbors = session.seen_images[nearest(some, session.seen_images)[1][:, 0]]
    picture = pictures.below(
        pictures.captioned(f"samples, {title}", pictures.grid(images[:SHOWN], pictures.columns(len(images[:SHOWN])))),
        pictures.captioned("some of these samples", pictures.grid(some, len(some))),
        pictures.captioned("their nearest training images", pictures.grid(neighbors, len(some))),
    )
    pictures.save(session.path("generate", "png"), picture)
    results.save_arrays(session.path("generate", "npz"), image=images, code=codes)
    if settings.export_samples:
        _export(images, Path(settings.export_samples), settings.force)
    log_scores(session, title, sampler)
    warn_of_overfitting(sampler)
    return {
        "generate": {
            "sampler": sampler.name,
            "label": session.image_class.name if session.image_class else None,
            "temperature": session.temperature,
            "n": len(images),
            **session.scores(sampler),
            **copied,
        }
    }


def describe(session: Session, image_class: ImageClass | None) -> str:
    """Name the class, the sampler and its temperature, for captions and the log."""
    title = session.sampler_name
    if session.temperature != 1:
        title += f", temperature {session.temperature:g}"
    return f"{image_class.name}: {title}" if image_class else title


def log_scores(session: Session, title: str, sampler: Fitted) -> None:
    """Log the scores of a sampler on held-out codes."""
    scores, texts = session.scores(sampler), []
    if scores["log_likelihood"] is not None:
        texts.append(f"log likelihood {scores['log_likelihood']:.4g}")
    if scores["fitted_log_likelihood"] is not None and texts:
        texts[-1] += f" ({scores['fitted_log_likelihood']:.4g} of codes that it was fitted to)"
    if scores["energy_distance"] is not None:
        texts.append(f"energy distance {scores['energy_distance']:.4g}")
    text = ", ".join(texts) or "no scores"
    logger.info("samples, %s, fitted in %.1f s; on held-out codes: %s", title, sampler.seconds, text)


def _export(images: np.ndarray, folder: Path, force: bool) -> None:
    """Write images uint8 [n, H, W, C] as 00000.png, 00001.png and so on, as tools that compute FID read them."""
    digits = max(5, len(str(len(images) - 1)))
    with files.replacing_folder(folder, marker="*.png", force=force) as temporary:
        for index, image in enumerate(tqdm(images, desc="writing PNGs", unit="image", disable=None, leave=False)):
            Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(
                temporary / f"{index:0{digits}d}.png", compress_level=3
            )
    logger.info("%d samples written to %s", len(images), folder)


def warn_of_overfitting(sampler: Fitted) -> None:
    """Log a warning if held-out codes are far less likely than those that a sampler was fitted to."""
    if sampler.overfits:
        logger.warning(
            "the sampler %s overfits: the log-likelihood is %.4g for held-out codes and %.4g for those that it was "
            "fitted to; its samples may be copies%s",
            sampler.name, sampler.log_likelihood, sampler.fitted_log_likelihood,
            ": try fewer --components" if sampler.components else "",
        )  # fmt: skip


def _copying(session: Session, images: np.ndarray) -> dict[str, Any]:
    """Measure copying by images uint8 [n, H, W, C] as far as it can be done at once, and log what was measured.

    Figures in features need an extractor that --metrics has trained and saved. Samples of a class are compared with
    held-out images of the class.
    """
    rows = session.dataset.test_rows
    if session.image_class:
        rows = rows[session.image_class.among(rows)]
    if min(len(rows), len(session.seen_images)) < 2:
        logger.info("copying: not measured: there are no two held-out images")
        return {"memorisation_share": None, "copying": None, "near_memorising": None}
    held_out = session.dataset.images[session.choose(rows, 2 * COMPARED, Stream.MEMORIZATION_IMAGES)]
    step = math.ceil(len(held_out) / COMPARED)
    share, control = memorization.share_and_control(images, session.seen_images, held_out[::step])
    logger.info(
        "memorisation: %.1f %% of samples are near copies by pixels, and %.1f %% of held-out images",
        100 * share, 100 * control,
    )  # fmt: skip
    shares = {"memorisation_share": share, "memorisation_share_held_out": control}
    if not (extractors.is_cached(session.settings, session.dataset) or session.settings.metrics):
        logger.info("copying: not measured in features: --metrics does, and trains a network for it")
        return {**shares, "copying": None, "near_memorising": None}
    features = {
        name: extractors.features(session.extractor, shown)
        for name, shown in (("samples", images), ("held_out", held_out))
    }
    test, control_features = copying.divide(session, features["held_out"])
    copied = copying.measure(test, {**features, "held_out": control_features})
    logger.info("%s", copied["words"])
    return {**shares, "copying": copied, "near_memorising": copied.pop("near_memorising")}
