"""A fixed sample of the training images and their codes, which pictures and figures of a run are made from."""

import numpy as np

from glo.data.lazy_array import Rows
from glo.data.randomness import Stream, permutation
from glo.training.state import Training

SAMPLED = 4096  # images, at most


class Sample:
    """Training images, with their codes at the last `update`. With several workers, they are gathered from all.

    order: int64 [m], a seeded order of the rows of the sample, of which pictures and figures use the first ones.
    """

    def __init__(self, training: Training):
        n = len(training.dataset.train_rows)
        self.order = permutation(n, training.settings.seed, Stream.GRID_IMAGES)[:SAMPLED]
        self._training, self._rows = training, np.sort(self.order)
        self.all_images: Rows | np.ndarray = training.images_of_all(self._rows)
        self.all_conditions: np.ndarray = training.conditions(self._rows)
        self.update()

    def update(self) -> None:
        """Read the current codes. All workers must call this at the same step."""
        self.all_codes: np.ndarray = self._training.codes_of_all(self._rows)

    def images(self, rows: np.ndarray) -> np.ndarray:
        """The images uint8 [b, H, W, C] of rows int64 [b] of the sample."""
        return self.all_images[np.searchsorted(self._rows, rows)]

    def codes(self, rows: np.ndarray) -> np.ndarray:
        """Their codes float32 [b, d]."""
        return self.all_codes[np.searchsorted(self._rows, rows)]

    def conditions(self, rows: np.ndarray) -> np.ndarray:
        """Their conditions float32 [b, k]."""
        return self.all_conditions[np.searchsorted(self._rows, rows)]
