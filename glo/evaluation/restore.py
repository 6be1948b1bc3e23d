"""The task `restore`: reconstruct pictures, fill holes (inpainting) or remove noise (denoising).

The code of a damaged image is fitted to its known pixels by `Fitter.fit`. The image of that code is free of noise and
has no hole, since the generator was trained on undamaged images.
"""

from typing import Any

import numpy as np

from glo import pictures
from glo.data.randomness import Stream, random_generator
from glo.evaluation import results
from glo.evaluation.session import Session
from glo.inference.psnr import psnr
from glo.model import losses
from glo.runtime.log import logger

SHOWN = 32  # images in a panel
UNKNOWN = 128  # the grey value that holes are shown with
# Clipped noise makes black lighter and white darker on average. The coarse levels of a Laplacian pyramid reproduce
# this shift; l1 does not, since its minimum is the median.
DENOISING_LOSS = losses.l1
CAPTIONS = {
    "images": "reconstructions, {:.1f} dB",
    "inpaint": "filled, {:.1f} dB in the hole",
    "denoise": "denoised, {:.1f} dB",
}


def run(session: Session) -> dict[str, Any]:
    """Reconstruct the pictures of --images, or held-out images, with a hole (--inpaint) or noise (--denoise).

    Writes a picture, and an .npz with `image`, `given` (the damaged image, with holes in grey), `reconstruction`, all
    uint8 [n, H, W, C], `code` float32 [n, d], `condition` float32 [n, k] and `name`.
    """
    images, names = session.pictures or (session.dataset.images[session.held_out], list(map(str, session.held_out)))
    hole, sigma = session.hole, session.settings.denoise
    task = "inpaint" if hole is not None else "images" if sigma is None else "denoise"
    given = noisy(images, sigma, random_generator(session.settings.seed, Stream.ADDED_NOISE)) if sigma else images
    loss = DENOISING_LOSS if task == "denoise" else session.run.loss
    fit = session.fit(given, loss, hole, None if session.pictures else session.dataset.conditions[session.held_out])
    restored = session.run.decoder.images(fit.codes, fit.conditions)
    if hole is not None:
        given, restored = np.where(hole, np.uint8(UNKNOWN), images), np.where(hole, restored, images)
    errors = squared_errors(restored, images, hole)
    result: dict[str, Any] = {"n": len(images), "prior": session.prior, "psnr": psnr(errors.mean())}
    panels = [("originals", images)]
    if sigma:
        result |= {"sigma": sigma, "noisy_psnr": psnr(squared_errors(given, images).mean())}
        panels.append((f"noisy, {result['noisy_psnr']:.1f} dB", given))
    elif hole is not None:
        panels.append(("known", given))
    caption = CAPTIONS[task].format(result["psnr"])
    panels.append((caption, restored))
    if session.pictures:
        result["files"] = {name: psnr(error) for name, error in zip(names, errors, strict=True)}
    pictures.save(
        session.path(task, "png"), pictures.beside(*(pictures.panel(text, shown[:SHOWN]) for text, shown in panels))
    )
    results.save_arrays(
        session.path(task, "npz"),
        image=images,
        given=given,
        reconstruction=restored,
        code=fit.codes,
        condition=fit.conditions,
        name=np.array(names),
    )
    logger.info("%s (%d images)", caption, len(images))
    return {task: result}


def noisy(images: np.ndarray, sigma: float, random: np.random.Generator) -> np.ndarray:
    """Add normal noise of standard deviation `sigma`, in grey levels, to images uint8 [n, H, W, C]; round and clip."""
    noise = np.float32(sigma) * random.standard_normal(images.shape, np.float32)
    return np.rint(np.clip(images + noise, 0, 255)).astype(np.uint8)


def squared_errors(restored: np.ndarray, images: np.ndarray, hole: np.ndarray | None = None) -> np.ndarray:
    """Mean squared error of each image uint8 [n, H, W, C], with pixels scaled to [0, 1]: float64 [n].

    hole: bool [H, W, 1]; if it is given, only its pixels count, since the others are unchanged.
    """
    difference = (restored.astype(np.float32) - images) / 255
    counted = difference if hole is None else difference[:, hole[..., 0]]
    return np.square(counted).reshape(len(images), -1).mean(axis=1, dtype=np.float64)
