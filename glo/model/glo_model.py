"""The model: a generator and one code per training image, with the state of their optimizers.

Methods other than GLO learn with a second network, the companion: an encoder, or the discriminator of a GAN.
"""

import keras
import numpy as np
import tensorflow as tf

from glo.data.conditions import Conditions, unconditional
from glo.data.lazy_array import Rows
from glo.model import companion, generator, linear
from glo.model.codes import CodeTable
from glo.settings import TrainSettings


class GloModel(tf.Module):
    """Everything that a checkpoint saves.

    It holds the generator, its optimizer and weight average, the code table, the conditions of the training images, and
    the number of steps.

    companion: the encoder of an autoencoder (of PCA too), or the discriminator of a GAN; None with GLO. state: further
    variables of PCA.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        initial_codes: np.ndarray | Rows,
        settings: TrainSettings,
        conditions: Conditions | None = None,
    ):
        """image_shape: (H, W, C). initial_codes: float32 [N, d]; the table holds their projections.

        conditions: of the training images, [n, k]; None for an unconditional model. Row r of the table is a copy of
        training image r % n.
        """
        super().__init__(name="glo")
        conditions = conditions or unconditional(len(initial_codes))
        dimension, self.condition_size = initial_codes.shape[1], len(conditions.names)
        self.generator = generator.build(image_shape, dimension, settings, self.condition_size)
        self.average = generator.build(image_shape, dimension, settings, self.condition_size) if settings.ema else None
        # Built here rather than in the first step, since a checkpoint may be saved or restored before that.
        self.optimizer = _optimizer(settings, self.generator)
        self.companion = companion.build(settings, image_shape, dimension, self.condition_size)
        self.companion_optimizer = _optimizer(settings, self.companion) if self.companion else None
        self.state: dict[str, tf.Variable] = {}
        if settings.method == "pca":
            self.state = linear.subspace(image_shape, dimension, settings.seed)
        self._has_encoder = settings.has_encoder
        self.table = CodeTable(initial_codes, settings.code_optimizer, settings.projection)
        self.conditions: tf.Variable | None = None
        if self.condition_size:
            with tf.device("cpu"):
                self.conditions = tf.Variable(conditions.values, trainable=False, name="conditions")
        self.step = tf.Variable(0, dtype=tf.int64, trainable=False, name="step")

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Shape (H, W, C) of the generated images."""
        return self.generator.output_shape[1:]

    @property
    def dimension(self) -> int:
        """Dimension d of the codes."""
        return self.generator.inputs[0].shape[1]

    @property
    def evaluated(self) -> keras.Model:
        """The generator used in evaluation: the one with averaged weights, if there is one."""
        return self.average or self.generator

    @property
    def encoder(self) -> keras.Model | None:
        """The encoder that the method learns along with the generator, if it does."""
        return self.companion if self._has_encoder else None

    def condition(self, rows: tf.Tensor, conditions: tf.Tensor | None = None) -> tf.Tensor:
        """Conditions float32 [B, k] of `rows` of the code table, int64 [B]; k is 0 for an unconditional model.

        conditions: of other images, as `Conditions.values` holds them, to which the rows belong.
        """
        if self.conditions is None:
            return tf.zeros((tf.size(rows), 0))
        conditions = self.conditions if conditions is None else conditions
        values = tf.gather(conditions, rows % conditions.shape[0])
        return tf.one_hot(values, self.condition_size) if values.shape.rank == 1 else tf.cast(values, tf.float32)

    def decode(self, codes: tf.Tensor, condition: tf.Tensor | None = None, training: bool = False) -> tf.Tensor:
        """Generate images float32 [B, H, W, C] in [-1, 1] from codes float32 [B, d].

        This is the only place that calls a generator.

        condition: float32 [B, k]; an unconditional generator, with k = 0, does not use it.
        training: if true, use the trained generator and normalise by the statistics of the batch; otherwise use
            `evaluated` and the moving statistics.
        """
        network = self.generator if training else self.evaluated
        return network([codes, condition] if self.condition_size else codes, training=training)


def normalize_pixels(images: tf.Tensor) -> tf.Tensor:
    """Scale pixels uint8, of any shape, to float32 in [-1, 1], the range of the generator's images."""
    return tf.cast(images, tf.float32) / 127.5 - 1


def _optimizer(settings: TrainSettings, network: keras.Model) -> keras.optimizers.Optimizer:
    """The optimizer of a network's weights, with its state. A GAN has the momentum of DCGAN."""
    shared = {"weight_decay": settings.weight_decay or None, "global_clipnorm": settings.clip_norm}
    if settings.generator_optimizer == "adam":
        beta_1 = 0.5 if settings.method == "gan" else 0.9
        optimizer = keras.optimizers.Adam(settings.learning_rate, beta_1, name="adam", **shared)
    else:
        optimizer = keras.optimizers.SGD(settings.learning_rate, name="sgd", **shared)
    if settings.weight_decay:
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    optimizer.build(network.trainable_variables)
    return optimizer
