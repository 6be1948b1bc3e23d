"""Batch normalisation that handles batches of one sample and updates its moving statistics once a training step."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import keras
import tensorflow as tf
from keras import layers

# Low compared with Keras' 0.99: the generator changes quickly, and evaluation must use the statistics of recent steps.
MOMENTUM = 0.9


class BatchNormalization(layers.BatchNormalization):
    """Keras' layer, which normalises over all axes but the last, with three differences in training.

    A batch of one sample is normalised by the moving statistics and does not update them. A single code has no variance
    over its batch: its batch statistics would give zero gradients and pull the moving variance towards zero.
    Within `frozen_statistics`, no batch updates the moving statistics. Within `synced_statistics`, the batch is that of
    all workers.
    """

    def __init__(self, **options):
        super().__init__(momentum=MOMENTUM, **options)
        self.frozen = False
        self.moments = _moments

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        if not training:
            return super().call(inputs, training=False)
        x = tf.cast(inputs, tf.float32)
        moving = [tf.convert_to_tensor(variable) for variable in (self.moving_mean, self.moving_variance)]
        samples, batch = self.moments(x)
        mean, variance = (tf.where(samples < 2, old, new) for old, new in zip(moving, batch, strict=True))
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


@contextmanager
def synced_statistics(
    model: keras.Model, total: Callable[[tf.Tensor], tf.Tensor], present: tf.Tensor
) -> Iterator[None]:
    """Context in which calls with `training=True` use the statistics of the batches of all workers.

    total: sums a tensor over workers, and so does its gradient. present: float32 [B], 0 for samples that do not count.
    """
    norms = [layer for layer in model.layers if isinstance(layer, BatchNormalization)]
    for layer in norms:
        layer.moments = partial(_total_moments, total, present, layer.moving_mean)
    try:
        yield
    finally:
        for layer in norms:
            layer.moments = _moments


def _moments(x: tf.Tensor) -> tuple[tf.Tensor, tuple[tf.Tensor, tf.Tensor]]:
    """The number of samples of a batch, and mean and variance of its channels."""
    return tf.shape(x)[0], tf.nn.moments(x, list(range(len(x.shape) - 1)))


def _total_moments(
    total: Callable[[tf.Tensor], tf.Tensor], present: tf.Tensor, about: keras.Variable, x: tf.Tensor
) -> tuple[tf.Tensor, tuple[tf.Tensor, tf.Tensor]]:
    """The same of the batches of all workers, from sums of differences from `about`, which is near the mean."""
    channels, about = x.shape[-1], tf.convert_to_tensor(about)
    x = (tf.reshape(x, [tf.shape(x)[0], -1, channels]) - about) * present[:, None, None]
    sums = [tf.reduce_sum(present)[None], tf.reduce_sum(x, (0, 1)), tf.reduce_sum(tf.square(x), (0, 1))]
    samples, first, second = tf.split(total(tf.concat(sums, 0)), [1, channels, channels])
    values = samples * tf.cast(tf.shape(x)[1], tf.float32)
    mean = first / values
    return samples, (about + mean, tf.maximum(second / values - tf.square(mean), 0))
