"""Restoring images: the generator makes neither noise nor what it has never seen.

The code of a damaged image is fitted to what is known of it (`fitting.fit`); the image of that code has the rest.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from glo import files, viz
from glo.log import logger
from glo.metrics import psnr

if TYPE_CHECKING:
    from glo.evaluate import Evaluation

SHOWN = 32  # images of a panel in the picture
UNKNOWN = 128  # the grey of a hole there


def restore(this: "Evaluation") -> dict[str, Any]:
    """The user's pictures, or held-out images, from fitted codes: as they are, with a hole filled, or with less noise.

    Writes a picture, and an .npz of image, given (what was fitted, a hole grey), reconstruction, code and name.
    """
    images, names = this.pictures or (this.dataset.images[this.held_out], list(map(str, this.held_out)))
    hole, sigma = this.hole, this.asked.denoise
    known = noisy(images, sigma, this.random(4)) if sigma else images
    codes = this.fit(known, hole)
    restored = this.decoder.images(codes)
    if hole is not None:
        restored = np.where(hole, restored, images)
        known = np.where(hole, np.uint8(UNKNOWN), images)
    errors = squared_errors(restored, images, hole)
    result = {"n": len(images), "prior": this.asked.prior_weight, "psnr": psnr(errors.mean())}
    caption = f"{result['psnr']:.1f} dB"
    panels = [("originals", images)]
    if hole is not None:
        task = "inpaint"
        panels += [("known", known), (f"filled, {caption} in the hole", restored)]
    elif sigma:
        task = "denoise"
        result |= {"sigma": sigma, "noisy_psnr": psnr(squared_errors(known, images).mean())}
        panels += [(f"with noise, {result['noisy_psnr']:.1f} dB", known), (f"denoised, {caption}", restored)]
    else:
        task = "images" if sigma is None else "denoise"
        panels += [(f"reconstructions, {caption}", restored)]
    if this.pictures:
        result["files"] = {name: psnr(error) for name, error in zip(names, errors, strict=True)}
    viz.save(this.path(task, "png"), viz.beside(*(viz.panel(text, shown[:SHOWN]) for text, shown in panels)))
    with files.replacing(this.path(task, "npz")) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, image=images, given=known, reconstruction=restored, code=codes, name=np.array(names))
    logger.info("%s: PSNR %s (%d images)", task, caption, len(images))
    return {task: result}


def noisy(images: np.ndarray, sigma: float, random: np.random.Generator) -> np.ndarray:
    """Images uint8 [n, H, W, C] with normal noise of `sigma` (in 0 to 255) on every value, rounded and clipped."""
    noise = np.float32(sigma) * random.standard_normal(images.shape, np.float32)
    return np.rint(np.clip(images + noise, 0, 255)).astype(np.uint8)


def squared_errors(restored: np.ndarray, images: np.ndarray, hole: np.ndarray | None = None) -> np.ndarray:
    """The mean squared error of each image uint8 [n, H, W, C], pixels in [0, 1], float64 [n].

    If there is a hole, bool [H, W, 1], only its pixels count: the others are as they were.
    """
    difference = (restored.astype(np.float32) - images) / 255
    counted = difference if hole is None else difference[:, hole[..., 0]]
    return np.square(counted).reshape(len(images), -1).mean(axis=1, dtype=np.float64)
