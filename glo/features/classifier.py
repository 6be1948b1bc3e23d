"""The `classifier` extractor: a small CNN trained on the dataset's own labels, whose last hidden layer is used.

Features of a network made for other pictures say little of digits or drawings; those of a network that tells these very
classes apart do. It is trained on the training rows (all of them, whatever a run was trained on), once for a dataset,
and kept beside it as plain arrays.
"""

import contextlib
import hashlib
import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from tqdm import tqdm

from glo.data.batches import batches, steps_per_epoch
from glo.data.block import TRAIN
from glo.data.dataset import Dataset
from glo.data.lazy_array import Rows
from glo.features import weights
from glo.model.schedules import rate_factor
from glo.runtime import files, paths
from glo.runtime.errors import UserError
from glo.runtime.log import logger

FEATURES = 128
BATCH = 128
EPOCHS = 3
MIN_STEPS, MAX_STEPS = 600, 6000  # as many epochs as make this for small and for large datasets
RATE = 2e-3
SEED = 0  # not the user's: distances of different evaluations must be in the same features
COARSE_SIDE = 7  # maps are halved until the shorter side is at most this
VERSION = 1  # of the network and its training: others are not comparable


class Classifier:
    """A trained network. accuracy: the share of held-out images whose label it predicts. sha256: of its weights."""

    name = "classifier"

    def __init__(self, dataset: Dataset):
        """Take the classifier of a dataset with labels from its cache, or train it."""
        rows = np.flatnonzero(dataset.split == TRAIN)
        classes = np.unique(dataset.labels[rows])
        self._network = _build(dataset.image_shape, len(classes))
        self.accuracy = self._cached(dataset)
        if self.accuracy is None:
            targets = np.searchsorted(classes, dataset.labels[rows]).astype(np.int32)
            _train(self._network, Rows(dataset.images, rows), targets)
            self.accuracy = self._measure(dataset, classes)
            logger.info("the classifier of %s: %.2f %% of held-out labels", dataset.path, 100 * self.accuracy)
            self._keep(dataset)
        self.sha256 = weights.sha256(self._network.get_weights())
        self._features = keras.Model(self._network.input, self._network.get_layer("features").output)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Features float32 [B, FEATURES] of images uint8 [B, H, W, C]."""
        return self._features(tf.convert_to_tensor(images), training=False).numpy()

    def describe(self) -> dict[str, Any]:
        """What results say of it."""
        return {"name": self.name, "accuracy": self.accuracy, "sha256": self.sha256}

    def _cached(self, dataset: Dataset) -> float | None:
        """Take the weights from the cache and return their accuracy; None, with a warning, if it is of no use."""
        key = _key(dataset)
        path = paths.classifier(dataset.path.parent, key)
        if not path.exists():
            return None
        try:
            arrays, about = weights.read(path, [array.shape for array in self._network.get_weights()])
            accuracy = about.get("accuracy")
            if about.get("key") != key or about.get("sha256") != weights.sha256(arrays):
                raise UserError(f"{path} is damaged or another dataset's")
            if not isinstance(accuracy, float) or not 0 <= accuracy <= 1:
                raise UserError(f"{path} does not say how accurate it is")
        except UserError as error:
            logger.warning("%s; the classifier is trained again", error)
            return None
        self._network.set_weights(arrays)
        return accuracy

    def _keep(self, dataset: Dataset) -> None:
        key, arrays = _key(dataset), self._network.get_weights()
        about = {
            "key": key,
            "fingerprint": dataset.fingerprint,
            "accuracy": self.accuracy,
            "sha256": weights.sha256(arrays),
        }
        try:
            weights.write(paths.classifier(dataset.path.parent, key), arrays, about)
        except files.WriteError as error:
            logger.warning("%s. The next evaluation trains the classifier again", error)

    def _measure(self, dataset: Dataset, classes: np.ndarray) -> float:
        right = 0
        for start in range(0, len(dataset.test_rows), 512):
            rows = dataset.test_rows[start : start + 512]
            scores = self._network(tf.convert_to_tensor(dataset.images[rows]), training=False).numpy()
            right += int(np.sum(classes[scores.argmax(axis=1)] == dataset.labels[rows]))
        return right / max(1, len(dataset.test_rows))


def _key(dataset: Dataset) -> str:
    """Names what the classifier was trained on, and how: images, labels, split, and the version of the recipe."""
    digest = hashlib.sha256(f"{VERSION} {dataset.fingerprint}".encode())
    digest.update(dataset.split.tobytes())
    digest.update(np.ascontiguousarray(dataset.labels, "<i4").data)
    return digest.hexdigest()[:16]


def _build(image_shape: tuple[int, int, int], classes: int) -> keras.Model:
    """Images uint8 [B, H, W, C] to class logits float32 [B, classes], by the layer `features` (after its ReLU)."""
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


def _train(network: keras.Model, images: Rows, targets: np.ndarray) -> None:
    """Minimise the cross-entropy of targets int32 [n] by Adam, its rate falling to 0 along a cosine."""
    steps = int(np.clip(EPOCHS * steps_per_epoch(len(images), BATCH), MIN_STEPS, MAX_STEPS))
    optimizer = keras.optimizers.Adam(RATE)
    optimizer.build(network.trainable_variables)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    @tf.function(input_signature=[tf.TensorSpec([None, *images.shape[1:]], tf.uint8), tf.TensorSpec([None], tf.int32)])
    def learn(batch: tf.Tensor, wanted: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            value = loss(wanted, network(batch, training=True))
        variables = network.trainable_variables
        optimizer.apply(tape.gradient(value, variables), variables)

    with contextlib.closing(batches(images, BATCH, SEED, start=0)) as drawn:
        for step in tqdm(range(steps), desc="training the classifier", unit="step", disable=None, leave=False):
            optimizer.learning_rate.assign(RATE * rate_factor(step, steps, "cosine"))
            rows, batch = next(drawn)
            learn(batch, targets[rows])
