"""How many generated images are copies of training images, measured against images that the model never saw."""

import numpy as np

from glo.data.lazy_array import Rows
from glo.inference.neighbors import nearest

HONEST = 0.05  # the share that new images from the distribution of the data would have


def share(images: np.ndarray, train_images: np.ndarray | Rows, held_out: np.ndarray | Rows) -> float:
    """Share of images that lie nearer to a training image than 95 % of the held-out images do.

    All are uint8 [n, H, W, C]; nearest by the Euclidean distance of pixels. In [0, 1]: about `HONEST` for new images
    that are like the held-out ones, 1 for copies of training images. Raises `ValueError` if an array is empty.
    """
    if not (len(images) and len(train_images) and len(held_out)):
        raise ValueError("the memorisation share needs images, training images and held-out images")
    threshold = np.quantile(nearest(held_out, train_images)[0], HONEST)
    return float(np.mean(nearest(images, train_images)[0] < threshold))
