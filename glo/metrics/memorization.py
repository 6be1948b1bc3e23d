"""Memorisation: the share of generated images that are near copies of training images.

An image counts as a copy if, compared with the distances between neighboring training images, it is about as near to a
training image as the nearest held-out images are. A fixed distance would not do: digits 1, for example, are so similar
to each other that new ones are nearer to training images than exact copies of other digits with a little noise.
"""

from collections.abc import Callable

import numpy as np

from glo.data.lazy_array import Rows
from glo.inference.neighbors import nearest, pixels

QUANTILE = 0.05  # the expected share for new images from the distribution of the data
NEIGHBORS = 5  # of a training image, whose distances from it are the measure


def share_and_control(
    images: np.ndarray,
    train_images: np.ndarray | Rows,
    held_out: np.ndarray | Rows,
    features: Callable[[np.ndarray], np.ndarray] = pixels,
) -> tuple[float, float]:
    """Share of images whose relative distance is at most that of the nearest 5 % (`QUANTILE`) of held-out images.

    All arrays are uint8 [n, H, W, C]. features: of images, see `nearest`. The share is in [0, 1]: about `QUANTILE` for
    new images from the distribution of the held-out images, 1 for copies of training images. Equal distances count, so
    that copies are still recognised if held-out images are copies themselves and the threshold is 0.
    Returns the share, and as a control the share of one half of the held-out images given the other half. Raises
    `ValueError` without images, and for fewer than two training or held-out images.
    """
    if not len(images) or min(len(train_images), len(held_out)) < 2:
        raise ValueError("the memorisation share needs images, two training images and two held-out images")
    distances = relative_distances(images, train_images, features)
    held_out_distances = relative_distances(held_out, train_images, features)
    return _share(distances, held_out_distances), _share(held_out_distances[::2], held_out_distances[1::2])


def relative_distances(
    images: np.ndarray | Rows, train_images: np.ndarray | Rows, features: Callable[[np.ndarray], np.ndarray] = pixels
) -> np.ndarray:
    """Distances of images to their nearest training images, relative to those from there to its neighbors, float [n].

    The distance is divided by the mean distance of the training image to its `NEIGHBORS` nearest other training images.
    """
    distances, rows = nearest(images, train_images, features=features)
    originals, positions = np.unique(rows[:, 0], return_inverse=True)
    to_itself_and_others = nearest(train_images[originals], train_images, NEIGHBORS + 1, features=features)[0]
    spacings = to_itself_and_others[:, 1:].mean(axis=1)[positions]
    return ratios(distances[:, 0], spacings)


def ratios(distances: np.ndarray, spacings: np.ndarray) -> np.ndarray:
    """distances / spacings, float [n]: 0 for copies, also of images that have copies; infinite near such images."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(distances > 0, distances / spacings, 0)


def _share(distances: np.ndarray, held_out_distances: np.ndarray) -> float:
    return float(np.mean(distances <= np.quantile(held_out_distances, QUANTILE, method="lower")))
