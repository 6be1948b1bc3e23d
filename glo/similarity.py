"""Structural similarity of reconstructions and originals, pair by pair."""

import numpy as np
import tensorflow as tf

WINDOW = 11  # pixels of the Gaussian window, sigma 1.5
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of the five scales (Wang, Simoncelli, Bovik 2003)


def scales(height: int, width: int) -> int:
    """How many scales the images allow: each has half the side of the one before, and the window must fit into all.

    5 from 161 pixels on, 4 from 81, 3 from 41, 2 from 21, else 1, which is SSIM.
    """
    return sum(-(-min(height, width) // 2**scale) >= WINDOW for scale in range(len(WEIGHTS)))


def similarities(images: np.ndarray, reconstructions: np.ndarray) -> dict[str, np.ndarray]:
    """`ssim`, and `ms_ssim_<scales>` where two or more fit, float32 [B], of images uint8 [B, H, W, C].

    In images smaller than the window it is the largest odd one that fits. With fewer than five scales their weights are
    divided by their sum, so that values of different image sizes cannot be compared: the name says the scales.
    """
    height, width = images.shape[1:3]
    x, y = (tf.cast(pixels, tf.float32) / 255 for pixels in (images, reconstructions))
    side = min(height, width)
    found = {"ssim": tf.image.ssim(x, y, 1.0, min(WINDOW, side - 1 + side % 2)).numpy()}
    count = scales(height, width)
    if count > 1:
        weights = np.array(WEIGHTS[:count]) / sum(WEIGHTS[:count])
        found[f"ms_ssim_{count}"] = tf.image.ssim_multiscale(x, y, 1.0, weights.tolist(), WINDOW).numpy()
    return found
