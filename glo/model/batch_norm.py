"""Batch normalisation for batches of any size, whose moving statistics move once a step."""

from collections.abc import Iterator
from contextlib import contextmanager

import keras
import tensorflow as tf
from keras import layers

# The statistics follow the generator quickly, since it changes quickly: evaluation must see those of the latest steps.
MOMENTUM = 0.9


class BatchNormalization(layers.BatchNormalization):
    """Keras' layer over all axes but the last, with two differences in training.

    A batch of one sample is normalised by the moving statistics, which it does not move: a single code has no variance
    over its batch, so that its batch statistics would give zero gradients and pull the moving variance towards zero.
    Within `frozen_statistics` no batch moves them.
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
    """Within it, calls of a model in training leave its moving statistics alone. A compiled function keeps that."""
    norms = [layer for layer in model.layers if isinstance(layer, BatchNormalization)]
    for layer in norms:
        layer.frozen = True
    try:
        yield
    finally:
        for layer in norms:
            layer.frozen = False
