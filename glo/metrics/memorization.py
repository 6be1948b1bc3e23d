"""How many generated images are copies of training images, measured against images that the model never saw."""

import numpy as np

from glo.data.lazy_array import Rows
from glo.inference.neighbors import nearest

QUANTILE = 0.05  # the share that new images from the distribution of the data would have


def share(images: np.ndarray, train_images: np.ndarray | Rows, held_out: np.ndarray | Rows) -> float:
    """Share of images that lie at least as near to a training image as the nearest 5 % of held-out images do.

    All are uint8 [n, H, W, C]; nearest by the Euclidean distance of pixels. In [0, 1]: about `QUANTILE` for new images
    that are like the held-out ones, 1 for copies of training images. Ties count: where held-out images are copies
    themselves, the distance to beat is 0, and copies still count. Raises `ValueError` if an array is empty.
    """
    if not (len(images) and len(train_images) and len(held_out)):
        raise ValueError("the memorisation share needs images, training images and held-out images")
    return _share(nearest(images, train_images)[0], nearest(held_out, train_images)[0])


def share_and_control(
    images: np.ndarray, train_images: np.ndarray | Rows, held_out: np.ndarray | Rows
) -> tuple[float, float]:
    """`share` of images, and of held-out images in their place: one half of these against the other half.

    Raises `ValueError` for fewer than two held-out images.
    """
    if len(held_out) < 2:
        raise ValueError("the control of the memorisation share needs two held-out images")
    distances, of_held_out = nearest(images, train_images)[0], nearest(held_out, train_images)[0]
    return _share(distances, of_held_out), _share(of_held_out[::2], of_held_out[1::2])


def _share(distances: np.ndarray, of_held_out: np.ndarray) -> float:
    return float(np.mean(distances <= np.quantile(of_held_out, QUANTILE)))
