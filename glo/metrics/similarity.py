"""Structural similarity of each reconstruction and its original, at a single scale and at several scales."""

import numpy as np
import tensorflow as tf

from glo.model.glo_model import normalize_pixels
from glo.model.losses import WINDOW, ssim

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of the five scales (Wang, Simoncelli, Bovik 2003)


def scales(height: int, width: int) -> int:
    """Number of scales for an image: each scale halves the sides, and the window of SSIM must fit into all of them.

    5 for a shorter side of at least 161 pixels, 4 from 81, 3 from 41, 2 from 21, otherwise 1.
    """
    return max(1, sum(-(-min(height, width) // 2**scale) >= WINDOW for scale in range(len(WEIGHTS))))


def similarities(images: np.ndarray, reconstructions: np.ndarray) -> dict[str, np.ndarray]:
    """Similarity of images and reconstructions, uint8 [B, H, W, C]: `ssim` and, if possible, `ms_ssim_<scales>`.

    Values are float32 [B]. Images too small for two scales have no multi-scale similarity. With fewer than five scales,
    the weights are divided by their sum. Values with different numbers of scales are not comparable, which is why the
    name contains the number.
    """
    values = {"ssim": ssim(normalize_pixels(reconstructions), normalize_pixels(images)).numpy()}
    count = scales(*images.shape[1:3])
    if count > 1:
        weights = [weight / sum(WEIGHTS[:count]) for weight in WEIGHTS[:count]]
        pixels = (tf.cast(batch, tf.float32) / 255 for batch in (reconstructions, images))
        values[f"ms_ssim_{count}"] = tf.image.ssim_multiscale(*pixels, 1.0, weights, WINDOW).numpy()
    return values
