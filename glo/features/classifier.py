"""The extractor `classifier`: the last hidden layer of a small CNN trained on the labels of the dataset.

Features of a network trained on photographs say little about digits or drawings; features that separate the classes of
the dataset do. The classifier is trained once for a dataset, on all training rows even if a run uses only some of them,
and is saved beside the dataset as plain arrays.
"""

import math
import os
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from glo.data.block import TRAIN
from glo.data.dataset import Dataset
from glo.data.lazy_array import Rows
from glo.features import trained, weights
from glo.runtime import paths
from glo.runtime.log import logger

FEATURES = 128
PREDICTED = 512  # images whose labels are predicted at once
SEED = 0  # independent of --seed, so that distances of different evaluations use the same features
COARSE_SIDE = 7  # maps are halved until the shorter side has at most this many pixels
VERSION = 1  # of the network and its training; distances are comparable only between equal versions


class Classifier:
    """The trained classifier of a dataset.

    accuracy: share of held-out images whose label it predicts. sha256: of its weights, as hexadecimal text.
    """

    name = "classifier"
    batch = PREDICTED

    def __init__(self, dataset: Dataset):
        """Read the classifier of a dataset with labels from the file beside the dataset, or train and save it."""
        rows = np.flatnonzero(dataset.split == TRAIN)
        self._classes = np.unique(dataset.labels[rows])
        self._network = _build(dataset.image_shape, len(self._classes))
        path, key = _saved(dataset)
        saved = trained.load(path, key, self._network, self.name, _has_accuracy)
        if saved:
            self.accuracy: float = saved["accuracy"]
        else:
            targets = np.searchsorted(self._classes, dataset.labels[rows]).astype(np.int32)
            trained.learn_labels(self._network, Rows(dataset.images, rows), targets, SEED, self.name)
            self.accuracy = self._measure(dataset)
            logger.info("the classifier of %s predicts %.2f %% of held-out labels", dataset.path, 100 * self.accuracy)
            trained.save(path, key, self._network, self.name, dataset, accuracy=self.accuracy)
        self.sha256 = weights.sha256(self._network.get_weights())
        features = keras.Model(self._network.input, self._network.get_layer("features").output)
        signature = [tf.TensorSpec([None, *dataset.image_shape], tf.uint8)]
        self._features = tf.function(partial(features, training=False), input_signature=signature)

    @staticmethod
    def is_saved(dataset: Dataset) -> bool:
        """Whether the classifier of a dataset with labels has been trained and saved beside it."""
        return os.path.lexists(_saved(dataset)[0])

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Compute features float32 [B, FEATURES] of images uint8 [B, H, W, C]."""
        return self._features(images).numpy()

    def predict(self, images: np.ndarray) -> np.ndarray:
        """Predict the labels int32 [n] of images uint8 [n, H, W, C]."""
        batches = (images[start : start + PREDICTED] for start in range(0, len(images), PREDICTED))
        scores = [self._network(tf.convert_to_tensor(batch), training=False).numpy() for batch in batches]
        return self._classes[np.concatenate(scores).argmax(axis=1)]

    def describe(self) -> dict[str, Any]:
        """The entry in results: name, accuracy and SHA-256 of the weights."""
        return {"name": self.name, "accuracy": self.accuracy, "sha256": self.sha256}

    def _measure(self, dataset: Dataset) -> float:
        """Share of held-out images whose label is predicted; 0 without held-out images."""
        correct = 0
        for start in range(0, len(dataset.test_rows), PREDICTED):
            rows = dataset.test_rows[start : start + PREDICTED]
            correct += int(np.sum(self.predict(dataset.images[rows]) == dataset.labels[rows]))
        return correct / max(1, len(dataset.test_rows))


def _saved(dataset: Dataset) -> tuple[Path, str]:
    """The file of the classifier of a dataset, and what it depends on, see `trained.key`."""
    key = trained.key(dataset, str(VERSION))
    return paths.classifier(dataset.path.parent, key), key


def _has_accuracy(description: dict[str, Any]) -> bool:
    accuracy = description.get("accuracy")
    return isinstance(accuracy, float) and 0 <= accuracy <= 1


def _build(image_shape: tuple[int, int, int], classes: int) -> keras.Model:
    """Build the network from images uint8 [B, H, W, C] to class logits float32 [B, classes].

    The output of the layer `features`, after its ReLU, is used as features, float32 [B, FEATURES].
    """
    seeds = iter(np.random.SeedSequence(SEED).generate_state(16).tolist())
    x = inputs = keras.Input(image_shape, dtype="uint8")
    x = layers.Rescaling(1 / 127.5, -1)(x)
    side, width, kernel = min(image_shape[:2]), 32, 5
    while side > COARSE_SIDE:
        x = _convolve(x, width, kernel, 2, next(seeds))
        side, width, kernel = math.ceil(side / 2), min(2 * width, FEATURES), 3
    x = _convolve(x, FEATURES, 3, 1, next(seeds))
    x = layers.Flatten()(x)
    x = layers.Dense(FEATURES, "relu", kernel_initializer=_he(next(seeds)), name="features")(x)
    x = layers.Dense(classes, kernel_initializer=_he(next(seeds)), name="logits")(x)
    return keras.Model(inputs, x, name="classifier")


def _convolve(x: keras.KerasTensor, width: int, kernel: int, strides: int, seed: int) -> keras.KerasTensor:
    x = layers.Conv2D(width, kernel, strides, padding="same", use_bias=False, kernel_initializer=_he(seed))(x)
    return layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))


def _he(seed: int) -> keras.initializers.Initializer:
    return keras.initializers.HeNormal(seed)
