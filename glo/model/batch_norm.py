"""Batch normalisation that handles batches of one sample and updates its moving statistics once a training step."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import keras
import tensorflow as tf
from keras import layers

# Low compared with Keras' 0.99: the generator changes quickly, and evaluation must use the statistics of recent steps.
MOMENTUM = 0.9


class BatchNormalization(layers.BatchNormalization):
    """Keras' layer, which normalises over all axes but the last, with three differences in training.

    A batch of one sample is normalised by the moving statistics and does not update them. A single code has no variance
    over its batch: its batch statistics would give zero gradients and pull the moving variance towards zero.
    Within `frozen_statistics`, no batch updates the moving statistics. After `sync_statistics`, the batch is that of
    all workers; without it, each worker has its own, which may be empty.
    """

    def __init__(self, **options):
        super().__init__(momentum=MOMENTUM, **options)
        self.frozen = False
        self.total: Callable[[tf.Tensor], tf.Tensor] | None = None

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        if not training:
            return super().call(inputs, training=False)
        x = tf.cast(inputs, tf.float32)
        moving = [tf.convert_to_tensor(variable) for variable in (self.moving_mean, self.moving_variance)]
        samples, batch = self._total_moments(x, moving[0]) if self.total else self._moments(x)
        mean, variance = (tf.where(samples < 2, old, new) for old, new in zip(moving, batch, strict=True))
        if not self.frozen:
            self.moving_mean.assign(moving[0] + (1 - MOMENTUM) * (mean - moving[0]))
            self.moving_variance.assign(moving[1] + (1 - MOMENTUM) * (variance - moving[1]))
        gamma, beta = tf.convert_to_tensor(self.gamma), tf.convert_to_tensor(self.beta)
        return tf.nn.batch_normalization(x, mean, variance, beta, gamma, self.epsilon)

    def _moments(self, x: tf.Tensor) -> tuple[tf.Tensor, tuple[tf.Tensor, tf.Tensor]]:
        """The number of samples, and mean and variance of the channels."""
        return tf.shape(x)[0], tf.nn.moments(x, list(range(len(x.shape) - 1)))

    def _total_moments(self, x: tf.Tensor, shift: tf.Tensor) -> tuple[tf.Tensor, tuple[tf.Tensor, tf.Tensor]]:
        """The same of the batch of all workers. shift: about the mean, so that no digits are lost in the squares."""
        x, axes = tf.reshape(x, [tf.shape(x)[0], -1, x.shape[-1]]) - tf.stop_gradient(shift), (0, 1)
        values = tf.cast(tf.shape(x)[0], tf.float32)[None], tf.reduce_sum(x, axes), tf.reduce_sum(tf.square(x), axes)
        samples, first, second = tf.split(self.total(tf.concat(values, 0)), [1, x.shape[-1], x.shape[-1]])
        count = tf.stop_gradient(samples) * tf.cast(tf.shape(x)[1], tf.float32)
        mean = first / count
        return samples, (shift + mean, tf.maximum(second / count - tf.square(mean), 0))


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


def sync_statistics(model: keras.Model, total: Callable[[tf.Tensor], tf.Tensor]) -> None:
    """Normalise by the statistics of the batches of all workers. total: sums a tensor over workers, with gradients."""
    for layer in model.layers:
        if isinstance(layer, BatchNormalization):
            layer.total = total
