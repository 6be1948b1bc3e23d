"""A convolutional network that predicts the attributes of images, and its balanced accuracy on held-out images."""

import logging
import math
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from glo.data.dataset import Dataset
from glo.features import weights

SIDE = 32  # larger images are first halved until the shorter side has at most this many pixels
WIDTHS = (32, 64, 128)  # channels of the convolutions, each of which halves the map
BATCH = 64
RATE = 2e-3  # initial learning rate
log = logging.getLogger("glo")


class AttributeNetwork:
    """Predicts all attributes of a dataset, which is trained on its training images, mirrored at random.

    balanced: balanced accuracy on held-out images, float64 [A].
    """

    def __init__(self, dataset: Dataset, epochs: int, file: Path | None = None):
        """file: the weights are read from this .npz file if it exists, and otherwise written to it."""
        keras.utils.set_random_seed(0)
        self._network = _build(dataset.image_shape, dataset.attributes.shape[1])
        if file and file.exists():
            self._network.set_weights(weights.read(file, [array.shape for array in self._network.get_weights()])[0])
        else:
            _train(self._network, dataset, epochs)
            if file:
                weights.write(file, self._network.get_weights(), {"epochs": epochs})
        forward = lambda images: tf.sigmoid(self._network(images, training=False))  # noqa: E731
        self._predict = tf.function(forward, input_signature=[tf.TensorSpec([None, *dataset.image_shape], tf.uint8)])
        true = dataset.attributes[dataset.test_rows] == 1
        predicted = self(dataset.images[dataset.test_rows]) > 0.5
        right = predicted == true
        with np.errstate(invalid="ignore"):  # nan if all held-out images are equal in an attribute
            shares = [
                np.sum(right & (true == value), axis=0) / np.sum(true == value, axis=0) for value in (False, True)
            ]
        self.balanced = np.mean(shares, axis=0)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Probabilities float32 [n, A] of the attributes of images uint8 [n, H, W, C]."""
        batches = (images[start : start + 256] for start in range(0, len(images), 256))
        return np.concatenate([self._predict(batch).numpy() for batch in batches])


def _build(image_shape: tuple[int, int, int], attributes: int) -> keras.Model:
    inputs = keras.Input(image_shape, dtype="uint8")
    x = layers.Rescaling(1 / 127.5, -1)(inputs)
    x = layers.RandomFlip("horizontal", seed=1)(x)
    for _ in range(max(0, math.ceil(math.log2(min(image_shape[:2]) / SIDE)))):
        x = layers.AveragePooling2D(2, padding="same")(x)
    for width in WIDTHS:
        x = layers.Conv2D(width, 5 if width == WIDTHS[0] else 3, strides=2, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
    x = layers.Dropout(0.5, seed=2)(layers.Flatten()(x))
    return keras.Model(inputs, layers.Dense(attributes)(x))


def _train(network: keras.Model, dataset: Dataset, epochs: int) -> None:
    """Minimise the cross-entropy, in which images with an attribute weigh as much as those without it."""
    images, targets = dataset.train_images[:], dataset.attributes[dataset.train_rows].astype(np.float32)
    share = np.clip(targets.mean(axis=0), 1 / len(targets), 1 - 1 / len(targets))

    def loss(true: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        losses = tf.nn.weighted_cross_entropy_with_logits(true, logits, (1 - share) / share)
        return tf.reduce_mean(losses * 0.5 / (1 - share))

    steps = epochs * -(-len(images) // BATCH)
    rate = keras.optimizers.schedules.CosineDecay(RATE, steps)
    network.compile(keras.optimizers.Adam(rate), loss)
    for epoch in range(epochs):
        value = network.fit(images, targets, BATCH, verbose=0).history["loss"][-1]
        log.info("network of attributes: epoch %d of %d, loss %.3f", epoch + 1, epochs, value)
