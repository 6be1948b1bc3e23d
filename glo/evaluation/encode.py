"""The task `encode`: codes of pictures, or of held-out images, by the encoder and a few steps of fast fitting.

Each image gets a verdict, which says whether it is like the training data (`glo.inference.verdict`).
"""

from typing import Any

import numpy as np

from glo import pictures
from glo.evaluation import results
from glo.evaluation.restore import squared_errors
from glo.evaluation.session import Session
from glo.inference.psnr import psnr
from glo.inference.quasi_newton import STEPS
from glo.inference.verdict import LIKE, VERDICTS, fences, judge
from glo.runtime.log import logger

SHOWN = 32  # images in a panel
LISTED = 5  # images that the log names


def run(session: Session) -> dict[str, Any]:
    """Encode the pictures of --images, or held-out images.

    Writes a picture, and an .npz with `image` and `reconstruction`, uint8 [n, H, W, C], `encoded`, the codes of the
    encoder alone, and `code`, float32 [n, d], `condition` float32 [n, k], `loss` float32 [n], `verdict` and `name`.
    """
    run = session.run
    images, names = session.pictures or (session.dataset.images[session.held_out], list(map(str, session.held_out)))
    conditions = None if session.pictures else session.dataset.conditions[session.held_out]
    codes, _, conditions = run.fitter.fit_fast(images, conditions=conditions)
    encoded = run.encoder.codes(images, conditions)
    alone, fitted = run.decoder.images(encoded, conditions), run.decoder.images(codes, conditions)
    errors, losses = squared_errors(fitted, images), run.fitter.losses(images, codes, conditions)
    verdicts = judge(losses, run.fitter.held_out_losses)
    counts = {text: verdicts.count(text) for text in VERDICTS}
    unusual, unlike = fences(run.fitter.held_out_losses)
    result: dict[str, Any] = {
        "n": len(images),
        "steps": STEPS,
        "psnr_encoder": psnr(squared_errors(alone, images).mean()),
        "psnr": psnr(errors.mean()),
        "unusual_loss": unusual,
        "unlike_loss": unlike,
        "verdicts": counts,
    }
    if session.pictures:
        result["files"] = {
            name: {"psnr": psnr(error), "loss": float(loss), "verdict": text}
            for name, error, loss, text in zip(names, errors, losses, verdicts, strict=True)
        }
    panels = [
        ("originals", images),
        (f"encoder alone, {result['psnr_encoder']:.1f} dB", alone),
        (f"after {STEPS} steps, {result['psnr']:.1f} dB", fitted),
    ]
    pictures.save(
        session.path("encode", "png"), pictures.beside(*(pictures.panel(text, shown[:SHOWN]) for text, shown in panels))
    )
    results.save_arrays(
        session.path("encode", "npz"), image=images, reconstruction=fitted, encoded=encoded, code=codes,
        condition=conditions, loss=losses, verdict=np.array(verdicts), name=np.array(names),
    )  # fmt: skip
    logger.info(
        "encoder alone %.2f dB, after %d steps %.2f dB (%d images): %s",
        result["psnr_encoder"], STEPS, result["psnr"], len(images),
        ", ".join(f"{count} {text}" for text, count in counts.items()),
    )  # fmt: skip
    doubtful = [(name, text) for name, text in zip(names, verdicts, strict=True) if text != LIKE]
    if session.pictures and doubtful:
        more = f", and {len(doubtful) - LISTED} more" if len(doubtful) > LISTED else ""
        logger.warning("%s%s", ", ".join(f"{name}: {text}" for name, text in doubtful[:LISTED]), more)
    return {"encode": result}
