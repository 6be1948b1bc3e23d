"""Batch normalisation that handles batches of one sample and updates its moving statistics once a training step."""

from collections.abc import Iterator
from contextlib import contextmanager

import keras
import tensorflow as tf
from keras import layers

# Low compared with Keras' 0.99: the generator changes quickly, and evaluation must use the statistics of recent steps.
MOMENTUM = 0.9


class BatchNormalization(layers.BatchNormalization):
    """Keras' layer, which normalises over all axes but the last, with two differences in training.

    A batch of one sample is normalised by the moving statistics and does not update them. A single code has no variance
    over its batch: its batch statistics would give zero gradients and pull the moving variance towards zero.
    Within `frozen_statistics`, no batch updates the moving statistics.
    """

    def __init__(self, **options):
        super().__init__(momentum=MOMENTUM, **options)
        self.frozen = False

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        if not training:
            return super().call(inputs, training=False)
        x = tf.cast(inputs, tf.float32)
        moving = [tf.convert_to_tensor(variable) for variable in (self.moving_mean, self.moving_variance)]
        single = tf.equal(tf.shape(x)[0], 1)
        batch = tf.nn.moments(x, list(range(len(x.shape) - 1)))
        mean, variance = (tf.where(single, old, new) for old, new in zip(moving, batch, strict=True))
        if not self.frozen:
            self.moving_mean.assign(moving[0] + (1 - MOMENTUM) * (mean - moving[0]))
            self.moving_variance.assign(moving[1] + (1 - MOMENTUM) * (variance - moving[1]))
        gamma, beta = tf.convert_to_tensor(self.gamma), tf.convert_to_tensor(self.beta)
        return tf.nn.batch_normalization(x, mean, variance, beta, gamma, self.epsilon)


@contextmanager
def frozen_statistics(model: keras.Model) -> Iterator[None]:
    """Context in which calls with `training=True` do not update the moving statistics of the model.

    A function compiled within the context keeps this behaviour outside it.
    """
    norms = [layer for layer in model.layers if isinstance(layer, BatchNormalization)]
    for layer in norms:
        layer.frozen = True
    try:
        yield
    finally:
        for layer in norms:
            layer.frozen = False
