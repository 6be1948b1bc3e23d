"""Structural similarity of reconstructions and originals, pair by pair, at one and at several scales."""

import numpy as np
import tensorflow as tf

from glo.model.glo_model import normalize_pixels
from glo.model.losses import WINDOW, ssim

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of the five scales (Wang, Simoncelli, Bovik 2003)


def scales(height: int, width: int) -> int:
    """How many scales an image has: each has half the sides of the one before, and the window must fit into all.

    5 from 161 pixels on the shorter side on, 4 from 81, 3 from 41, 2 from 21, else 1.
    """
    return max(1, sum(-(-min(height, width) // 2**scale) >= WINDOW for scale in range(len(WEIGHTS))))


def similarities(images: np.ndarray, reconstructions: np.ndarray) -> dict[str, np.ndarray]:
    """`ssim`, and `ms_ssim_<scales>` of two scales or more, float32 [B], of images uint8 [B, H, W, C].

    Fewer than five scales have their weights divided by their sum: values of different numbers of scales cannot be
    compared, so that the name says how many.
    """
    found = {"ssim": ssim(normalize_pixels(reconstructions), normalize_pixels(images)).numpy()}
    count = scales(*images.shape[1:3])
    if count > 1:
        weights = [weight / sum(WEIGHTS[:count]) for weight in WEIGHTS[:count]]
        pixels = (tf.cast(pictures, tf.float32) / 255 for pictures in (reconstructions, images))
        found[f"ms_ssim_{count}"] = tf.image.ssim_multiscale(*pixels, 1.0, weights, WINDOW).numpy()
    return found
