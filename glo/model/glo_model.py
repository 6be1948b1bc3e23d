"""The model: a generator and one code per training image, with what their optimizers remember."""

from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf

from glo.data.lazy_array import Rows
from glo.model import generator
from glo.model.codes import CodeTable
from glo.settings import TrainSettings

# What an image is generated from besides its code, by name: label, attributes, noise level. [B, ...] each.
Condition = Mapping[str, tf.Tensor]


class GloModel(tf.Module):
    """All that a checkpoint holds: generator, its optimizer and average, code table, and the number of steps taken."""

    def __init__(self, image_shape: tuple[int, int, int], initial_codes: np.ndarray | Rows, settings: TrainSettings):
        """image_shape: (H, W, C). initial_codes: float32 [N, d], projected here."""
        super().__init__(name="glo")
        dimension = initial_codes.shape[1]
        self.generator = generator.build(image_shape, dimension, settings)
        self.average = generator.build(image_shape, dimension, settings) if settings.ema else None
        self.optimizer = _optimizer(settings)
        # Built now, not at the first step: a checkpoint saved or restored before it would lack the slots.
        self.optimizer.build(self.generator.trainable_variables)
        self.table = CodeTable(initial_codes, settings.code_optimizer, settings.projection)
        self.step = tf.Variable(0, dtype=tf.int64, trainable=False, name="step")

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(H, W, C)."""
        return self.generator.output_shape[1:]

    @property
    def dimension(self) -> int:
        """d, the dimension of the codes."""
        return self.generator.input_shape[1]

    @property
    def evaluated(self) -> keras.Model:
        """The generator that evaluation uses: the average of the weights, if there is one."""
        return self.average or self.generator

    def decode(self, codes: tf.Tensor, condition: Condition | None = None, training: bool = False) -> tf.Tensor:
        """Images float32 [B, H, W, C] in [-1, 1] of codes float32 [B, d]: the only place that calls a generator.

        condition: what the image depends on besides its code; None for a model without one.
        training: take the generator that is being trained, with the statistics of the batch; otherwise take
            `evaluated`, with moving statistics.
        """
        network = self.generator if training else self.evaluated
        return network(codes if condition is None else {"code": codes, **condition}, training=training)


def normalize_pixels(images: tf.Tensor) -> tf.Tensor:
    """Pixels uint8 to float32 in [-1, 1], the generator's range."""
    return tf.cast(images, tf.float32) / 127.5 - 1


def _optimizer(settings: TrainSettings) -> keras.optimizers.Optimizer:
    kinds = {"adam": keras.optimizers.Adam, "sgd": keras.optimizers.SGD}
    optimizer = kinds[settings.generator_optimizer](
        settings.learning_rate,
        name=settings.generator_optimizer,
        weight_decay=settings.weight_decay or None,
        global_clipnorm=settings.clip_norm,
    )
    if settings.weight_decay:
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer
