"""Memorisation: the share of generated images that are near copies of training images.

An image counts as a copy if it is about as near to a training image as the nearest held-out images are.
"""

import numpy as np

from glo.data.lazy_array import Rows
from glo.inference.neighbors import nearest

QUANTILE = 0.05  # the expected share for new images from the distribution of the data


def share(images: np.ndarray, train_images: np.ndarray | Rows, held_out: np.ndarray | Rows) -> float:
    """Share of images that are at least as near to a training image as the nearest 5 % (`QUANTILE`) of held-out images.

    All arrays are uint8 [n, H, W, C]; the distance is the Euclidean distance of pixels. The share is in [0, 1]: about
    `QUANTILE` for new images from the distribution of the held-out images, 1 for copies of training images. Equal
    distances count, so that copies are still recognised if held-out images are copies themselves and the threshold is
    0. Raises `ValueError` if an array is empty.
    """
    if not (len(images) and len(train_images) and len(held_out)):
        raise ValueError("the memorisation share needs images, training images and held-out images")
    return _share(nearest(images, train_images)[0], nearest(held_out, train_images)[0])


def share_and_control(
    images: np.ndarray, train_images: np.ndarray | Rows, held_out: np.ndarray | Rows
) -> tuple[float, float]:
    """Return `share` of the images, and as a control the share of one half of the held-out images given the other half.

    Raises `ValueError` for fewer than two held-out images.
    """
    if len(held_out) < 2:
        raise ValueError("the control of the memorisation share needs two held-out images")
    distances, held_out_distances = nearest(images, train_images)[0], nearest(held_out, train_images)[0]
    return _share(distances, held_out_distances), _share(held_out_distances[::2], held_out_distances[1::2])


def _share(distances: np.ndarray, held_out_distances: np.ndarray) -> float:
    return float(np.mean(distances <= np.quantile(held_out_distances, QUANTILE)))
