"""The extractor `contrastive`: the last hidden layer of a small CNN that learns without labels, see `contrast`.

Its features are learned from the images of the dataset, as those of the classifier are, and need no labels.
"""

import math

import numpy as np

from glo.data.dataset import Dataset
from glo.data.lazy_array import Rows
from glo.data.randomness import Stream, permutation
from glo.features import contrast, trained
from glo.features.cnn import BATCH, TrainedExtractor

LEARNED = 64  # images of a training step, of each of which there are two copies
PIXELS = 130_000_000  # in the images of all training steps: some 80 seconds on two CPU cores
MIN_STEPS, MAX_STEPS = 300, 1000  # limits of the number of steps that `PIXELS` gives
VERSION = 2  # of the network and its training; distances are comparable only between equal versions


class Contrastive(TrainedExtractor):
    """The contrastive network of a dataset."""

    name = "contrastive"
    title = "contrastive network"
    measured = "recognised"
    seed = 2

    def __init__(self, dataset: Dataset):
        """Read the contrastive network of a dataset from the file beside the dataset, or train and save it."""
        super().__init__(dataset, contrast.EMBEDDING)

    @staticmethod
    def _key(dataset: Dataset) -> str:
        return trained.key(dataset, f"contrastive {VERSION}", labels=None)

    def _learn(self, images: Rows, rows: np.ndarray) -> None:
        pixels = LEARNED * math.prod(images.shape[1:3])
        steps = int(np.clip(PIXELS // pixels, MIN_STEPS, MAX_STEPS))
        contrast.learn_images(self._network, images, LEARNED, steps, self.seed, self.title)

    def _measure(self, dataset: Dataset) -> float:
        """The share of held-out images, at most `BATCH` of them, that `contrast.recognised` counts."""
        n = len(dataset.test_rows)
        rows = np.sort(dataset.test_rows[permutation(n, self.seed, Stream.RECOGNISED_IMAGES)[:BATCH]])
        return contrast.recognised(self._outputs, dataset.images[rows], self.seed) if n > 1 else 0.0
