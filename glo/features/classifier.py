"""The extractor `classifier`: the last hidden layer of a small CNN trained on the labels of the dataset.

Features of a network trained on photographs say little about digits or drawings; features that separate the classes of
the dataset do.
"""

import numpy as np

from glo.data.block import TRAIN
from glo.data.dataset import Dataset
from glo.data.lazy_array import Rows
from glo.features import trained
from glo.features.cnn import BATCH, TrainedExtractor

VERSION = 1  # of the network and its training; distances are comparable only between equal versions


class Classifier(TrainedExtractor):
    """The trained classifier of a dataset with labels."""

    name = title = "classifier"
    measured = "accuracy"
    seed = 0

    def __init__(self, dataset: Dataset):
        """Read the classifier of a dataset with labels from the file beside the dataset, or train and save it."""
        self._labels = dataset.labels
        self._classes = np.unique(dataset.labels[dataset.split == TRAIN])
        super().__init__(dataset, len(self._classes))

    def predict(self, images: np.ndarray) -> np.ndarray:
        """Predict the labels int32 [n] of images uint8 [n, H, W, C]."""
        return self._classes[self._outputs(images).argmax(axis=1)]

    @staticmethod
    def _key(dataset: Dataset) -> str:
        return trained.key(dataset, str(VERSION), dataset.labels)

    def _learn(self, images: Rows, rows: np.ndarray) -> None:
        targets = np.searchsorted(self._classes, self._labels[rows]).astype(np.int32)
        trained.learn_labels(self._network, images, targets, self.seed, self.title)

    def _measure(self, dataset: Dataset) -> float:
        correct = 0
        for start in range(0, len(dataset.test_rows), BATCH):
            rows = dataset.test_rows[start : start + BATCH]
            correct += int(np.sum(self.predict(dataset.images[rows]) == dataset.labels[rows]))
        return correct / max(1, len(dataset.test_rows))
