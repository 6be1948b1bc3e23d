"""The extractor `classifier`: the last hidden layer of a small CNN trained on the labels of the dataset.

Features of a network trained on photographs say little about digits or drawings; features that separate the classes of
the dataset do. The classifier is trained once for a dataset, on all training rows even if a run uses only some of them,
and is saved beside the dataset as plain arrays.
"""

import contextlib
import hashlib
import math
import os
from functools import partial
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
MIN_STEPS, MAX_STEPS = 600, 6000  # limits of the training steps that `EPOCHS` gives
PREDICTED = 512  # images whose labels are predicted at once
RATE = 2e-3  # initial learning rate
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
        self.accuracy = self._load(dataset)
        if self.accuracy is None:
            targets = np.searchsorted(self._classes, dataset.labels[rows]).astype(np.int32)
            _train(self._network, Rows(dataset.images, rows), targets)
            self.accuracy = self._measure(dataset)
            logger.info("the classifier of %s predicts %.2f %% of held-out labels", dataset.path, 100 * self.accuracy)
            self._save(dataset)
        self.sha256 = weights.sha256(self._network.get_weights())
        features = keras.Model(self._network.input, self._network.get_layer("features").output)
        signature = [tf.TensorSpec([None, *dataset.image_shape], tf.uint8)]
        self._features = tf.function(partial(features, training=False), input_signature=signature)

    @staticmethod
    def is_saved(dataset: Dataset) -> bool:
        """Whether the classifier of a dataset with labels has been trained and saved beside it."""
        return os.path.lexists(paths.classifier(dataset.path.parent, _key(dataset)))

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

    def _load(self, dataset: Dataset) -> float | None:
        """Load saved weights and return their accuracy; None if there are none, with a warning if they are unusable."""
        key = _key(dataset)
        path = paths.classifier(dataset.path.parent, key)
        if not os.path.lexists(path):
            return None
        try:
            arrays, description = weights.read(path, [array.shape for array in self._network.get_weights()])
            accuracy = description.get("accuracy")
            if description.get("key") != key or description.get("sha256") != weights.sha256(arrays):
                raise UserError(f"{path} is damaged or belongs to another dataset")
            if not isinstance(accuracy, float) or not 0 <= accuracy <= 1:
                raise UserError(f"{path} does not contain the accuracy of the classifier")
        except UserError as error:
            logger.warning("%s; the classifier is trained again", error)
            return None
        self._network.set_weights(arrays)
        return accuracy

    def _save(self, dataset: Dataset) -> None:
        key, arrays = _key(dataset), self._network.get_weights()
        description = {
            "key": key,
            "fingerprint": dataset.fingerprint,
            "accuracy": self.accuracy,
            "sha256": weights.sha256(arrays),
        }
        try:
            weights.write(paths.classifier(dataset.path.parent, key), arrays, description)
        except files.WriteError as error:
            logger.warning("%s. The next evaluation will train the classifier again", error)

    def _measure(self, dataset: Dataset) -> float:
        """Share of held-out images whose label is predicted; 0 without held-out images."""
        correct = 0
        for start in range(0, len(dataset.test_rows), PREDICTED):
            rows = dataset.test_rows[start : start + PREDICTED]
            correct += int(np.sum(self.predict(dataset.images[rows]) == dataset.labels[rows]))
        return correct / max(1, len(dataset.test_rows))


def _key(dataset: Dataset) -> str:
    """Identify what a classifier depends on: images, labels, split, and the version of its training."""
    digest = hashlib.sha256(f"{VERSION} {dataset.fingerprint}".encode())
    digest.update(dataset.split.tobytes())
    digest.update(np.ascontiguousarray(dataset.labels, "<i4").data)
    return digest.hexdigest()[:16]


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


def _train(network: keras.Model, images: Rows, targets: np.ndarray) -> None:
    """Minimise the cross-entropy of class indices, int32 [n], by Adam with cosine decay of the learning rate to 0."""
    steps = int(np.clip(EPOCHS * steps_per_epoch(len(images), BATCH), MIN_STEPS, MAX_STEPS))
    optimizer = keras.optimizers.Adam(RATE)
    optimizer.build(network.trainable_variables)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    @tf.function(input_signature=[tf.TensorSpec([None, *images.shape[1:]], tf.uint8), tf.TensorSpec([None], tf.int32)])
    def train_step(batch: tf.Tensor, batch_targets: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            value = loss(batch_targets, network(batch, training=True))
        variables = network.trainable_variables
        optimizer.apply(tape.gradient(value, variables), variables)

    with contextlib.closing(batches(images, BATCH, SEED, start=0)) as training_batches:
        for step in tqdm(range(steps), desc="training the classifier", unit="step", disable=None, leave=False):
            optimizer.learning_rate.assign(RATE * rate_factor(step, steps, "cosine"))
            rows, batch = next(training_batches)
            train_step(batch, targets[rows])
