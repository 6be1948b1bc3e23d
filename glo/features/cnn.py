"""A small CNN whose last hidden layer gives features: what the extractors `classifier` and `contrastive` share.

It is trained once for a dataset, on all training rows even if a run uses only some of them, and is saved beside the
dataset as plain arrays.
"""

import math
import os
from abc import ABC, abstractmethod
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

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
BATCH = 512  # images that go through the network at once
COARSE_SIDE = 7  # maps are halved until the shorter side has at most this many pixels


class TrainedExtractor(ABC):
    """An extractor that is trained for a dataset, on all its training rows.

    name: of the extractor in results, and of the file. title: what messages call the network. measured: the name of
    `score` in results. seed: of the initial weights and of training, independent of --seed, so that distances of
    different evaluations use the same features. score: how well the network does on held-out images, a share.
    sha256: of its weights, as hexadecimal text.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    measured: ClassVar[str]
    seed: ClassVar[int]
    batch = BATCH

    def __init__(self, dataset: Dataset, outputs: int):
        """Read the network from the file beside the dataset, or train and save it. outputs: units of its last layer.

        A file that is damaged or belongs to other data is replaced, with a warning.
        """
        self._network = _build(dataset.image_shape, outputs, self.seed)
        path, key = self._path(dataset), self._key(dataset)
        saved = trained.load(path, key, self._network, self.title, self._has_score)
        if saved:
            self.score: float = saved[self.measured]
        else:
            rows = np.flatnonzero(dataset.split == TRAIN)
            self._learn(Rows(dataset.images, rows), rows)
            self.score = self._measure(dataset)
            logger.info("the %s of %s: %s of held-out images %.4f", self.title, dataset.path, self.measured, self.score)
            trained.save(path, key, self._network, self.title, dataset, **{self.measured: self.score})
        self.sha256 = weights.sha256(self._network.get_weights())
        features = keras.Model(self._network.input, self._network.get_layer("features").output)
        signature = [tf.TensorSpec([None, *dataset.image_shape], tf.uint8)]
        self._features = tf.function(partial(features, training=False), input_signature=signature)

    @classmethod
    def is_saved(cls, dataset: Dataset) -> bool:
        """Whether the extractor has been trained for the dataset and saved beside it."""
        return os.path.lexists(cls._path(dataset))

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Compute features float32 [B, FEATURES] of images uint8 [B, H, W, C]."""
        return self._features(images).numpy()

    def describe(self) -> dict[str, Any]:
        """The entry in results: name, score and SHA-256 of the weights."""
        return {"name": self.name, self.measured: self.score, "sha256": self.sha256}

    @staticmethod
    @abstractmethod
    def _key(dataset: Dataset) -> str:
        """Identify what the network depends on, see `trained.key`."""

    @abstractmethod
    def _learn(self, images: Rows, rows: np.ndarray) -> None:
        """Train the network on images uint8 [n, H, W, C], the rows int64 [n] of the dataset."""

    @abstractmethod
    def _measure(self, dataset: Dataset) -> float:
        """The score of the network on held-out images; 0 if there are too few."""

    def _outputs(self, images: np.ndarray) -> np.ndarray:
        """The outputs of the last layer, float32 [n, outputs], of images uint8 [n, H, W, C], n > 0."""
        batches = (images[start : start + BATCH] for start in range(0, len(images), BATCH))
        return np.concatenate([self._network(tf.convert_to_tensor(x), training=False).numpy() for x in batches])

    @classmethod
    def _path(cls, dataset: Dataset) -> Path:
        return paths.extractor(dataset.path.parent, cls.name, cls._key(dataset))

    @classmethod
    def _has_score(cls, description: dict[str, Any]) -> bool:
        score = description.get(cls.measured)
        return isinstance(score, float) and 0 <= score <= 1


def _build(image_shape: tuple[int, int, int], outputs: int, seed: int) -> keras.Model:
    """Build the network from images uint8 [B, H, W, C] to outputs float32 [B, outputs] of a linear layer.

    The output of the layer `features`, after its ReLU, is used as features, float32 [B, FEATURES].
    """
    seeds = iter(np.random.SeedSequence(seed).generate_state(16).tolist())
    x = inputs = keras.Input(image_shape, dtype="uint8")
    x = layers.Rescaling(1 / 127.5, -1)(x)
    side, width, kernel = min(image_shape[:2]), 32, 5
    while side > COARSE_SIDE:
        x = _convolve(x, width, kernel, 2, next(seeds))
        side, width, kernel = math.ceil(side / 2), min(2 * width, FEATURES), 3
    x = _convolve(x, FEATURES, 3, 1, next(seeds))
    x = layers.Flatten()(x)
    x = layers.Dense(FEATURES, "relu", kernel_initializer=_he(next(seeds)), name="features")(x)
    x = layers.Dense(outputs, kernel_initializer=_he(next(seeds)))(x)
    return keras.Model(inputs, x)


def _convolve(x: keras.KerasTensor, width: int, kernel: int, strides: int, seed: int) -> keras.KerasTensor:
    x = layers.Conv2D(width, kernel, strides, padding="same", use_bias=False, kernel_initializer=_he(seed))(x)
    return layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))


def _he(seed: int) -> keras.initializers.Initializer:
    return keras.initializers.HeNormal(seed)
