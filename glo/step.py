"""One training step of GLO: move the generator on the mean loss, move each code of the batch on its own, project.

min over theta of sum_i  min over z_i in the unit ball of  loss(g_theta(z_i), x_i)        (equation 2 of the paper)
"""

import math
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from glo import device, generator, precision
from glo.latents import CodeTable
from glo.losses import build as build_loss
from glo.settings import TrainSettings
from glo.stored import Rows

WARM_UP = 0.02  # share of the planned steps in which the rates rise to their full values
HALVING_STEPS = 10_000


class Model(tf.Module):
    """All that a checkpoint holds: generator, its optimizer, code table, and the number of steps taken."""

    def __init__(self, image_shape: tuple[int, int, int], initial_codes: np.ndarray | Rows, settings: TrainSettings):
        super().__init__(name="glo")
        self.generator = generator.build(image_shape, initial_codes.shape[1], settings)
        self.optimizer = (
            keras.optimizers.Adam(settings.learning_rate, name="adam")
            if settings.generator_optimizer == "adam"
            else keras.optimizers.SGD(settings.learning_rate, name="sgd")
        )
        # Built now, not at the first step: a checkpoint saved or restored before it would lack the slots.
        self.optimizer.build(self.generator.trainable_variables)
        self.table = CodeTable(initial_codes, settings.code_optimizer, settings.projection)
        self.step = tf.Variable(0, dtype=tf.int64, trainable=False, name="step")


def decode(images: tf.Tensor) -> tf.Tensor:
    """uint8 pixels to float32 in [-1, 1], the generator's range."""
    return tf.cast(images, tf.float32) / 127.5 - 1


def rate_factor(step: tf.Tensor, planned: int, schedule: str) -> tf.Tensor:
    """The share of the full rates at a step (0 is the first): 1, or a linear warm-up and a cosine to 0 at `planned`."""
    if schedule == "constant":
        return tf.constant(1.0)
    position = tf.cast(step, tf.float32) + 1
    warm_up = max(1.0, WARM_UP * planned)
    progress = tf.clip_by_value((position - warm_up) / max(1.0, planned + 1 - warm_up), 0.0, 1.0)
    return tf.minimum(position / warm_up, 0.5 + 0.5 * tf.cos(math.pi * progress))


def make_step(model: Model, settings: TrainSettings, planned: int) -> Callable[[np.ndarray, np.ndarray], tf.Tensor]:
    """Compile the training step: rows int64 [B] of the code table, each at most once, and their images
    uint8 [B, H, W, C] -> losses float32 [B] before the step.

    planned: the steps over which the schedule runs.
    """
    loss = build_loss(settings.loss)
    weights = model.generator.trainable_variables
    image = tf.TensorSpec([None, *model.generator.output_shape[1:]], tf.uint8)

    def reconstruct(codes: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
        with precision.computing_in(model.generator, settings.precision):
            images = model.generator(codes, training=True)
        return loss(images, target)

    # Compiled by XLA or not, it holds all that is costly; the code table cannot take part, as it is not on the device.
    @tf.function(jit_compile=device.jit(settings.jit))
    def learn(codes: tf.Tensor, images: tf.Tensor, rate: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Move the generator. Returns the losses [B], and the gradients of each code's own loss [B, d]."""
        target = decode(images)
        with tf.GradientTape() as tape:
            tape.watch(codes)
            losses = reconstruct(codes, target)
            mean = tf.reduce_mean(losses)
        *to_weights, to_codes = tape.gradient(mean, [*weights, codes])
        model.optimizer.learning_rate.assign(rate)
        model.optimizer.apply(to_weights, weights)
        if settings.update == "alternate":
            with tf.GradientTape() as tape:
                tape.watch(codes)
                total = tf.reduce_sum(reconstruct(codes, target))
            return losses, tape.gradient(total, codes)
        # The mean divides each sample's own gradient by the batch size; a code must not feel that.
        return losses, to_codes * tf.cast(tf.shape(codes)[0], tf.float32)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int64), image])
    def step(rows: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
        factor = rate_factor(model.step, planned, settings.schedule)
        rate = settings.learning_rate * factor
        if settings.lr_weight_decay:
            rate *= 0.5 ** tf.cast(model.step // HALVING_STEPS, tf.float32)
        codes = model.table.gather(rows)
        losses, to_codes = learn(codes, images, rate)
        model.table.update(rows, codes, to_codes, settings.alpha * factor)
        model.step.assign_add(1)
        return losses

    return step
