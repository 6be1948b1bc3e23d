"""One training step of GLO: move the generator on the mean loss, move each code of the batch on its own, project.

min over theta of sum_i  min over z_i in the unit ball of  loss(g_theta(z_i), x_i)        (equation 2 of the paper)
"""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from glo.data.lazy_array import Rows
from glo.model import generator, precision
from glo.model.codes import CodeTable, adam, project
from glo.model.losses import build as build_loss
from glo.model.schedules import descent_factor, noise_factor, rate_factor
from glo.runtime import device
from glo.settings import TrainSettings

HALVING_STEPS = 10_000
REFINEMENT = 6.0  # alpha of the refinement, where it starts from

Step = Callable[[np.ndarray, np.ndarray], tf.Tensor]


class Model(tf.Module):
    """All that a checkpoint holds: generator, its optimizer and average, code table, and the number of steps taken."""

    def __init__(self, image_shape: tuple[int, int, int], initial_codes: np.ndarray | Rows, settings: TrainSettings):
        super().__init__(name="glo")
        self.generator = generator.build(image_shape, initial_codes.shape[1], settings)
        self.average = generator.build(image_shape, initial_codes.shape[1], settings) if settings.ema else None
        self.optimizer = _optimizer(settings)
        # Built now, not at the first step: a checkpoint saved or restored before it would lack the slots.
        self.optimizer.build(self.generator.trainable_variables)
        self.table = CodeTable(initial_codes, settings.code_optimizer, settings.projection)
        self.step = tf.Variable(0, dtype=tf.int64, trainable=False, name="step")

    @property
    def evaluated(self) -> keras.Model:
        """The generator to make images with: the average, if there is one."""
        return self.average or self.generator


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


def decode(images: tf.Tensor) -> tf.Tensor:
    """uint8 pixels to float32 in [-1, 1], the generator's range."""
    return tf.cast(images, tf.float32) / 127.5 - 1


def make_step(model: Model, settings: TrainSettings, learned: int) -> Step:
    """Compile the training step: rows int64 [B] of the code table, each at most once, and their images
    uint8 [B, H, W, C] -> losses float32 [B] before the step.

    learned: the steps over which the schedules run.
    """
    loss = build_loss(settings.loss)
    weights = model.generator.trainable_variables

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

    @tf.function(input_signature=_batch(model))
    def step(rows: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
        factor = rate_factor(model.step, learned, settings.schedule)
        rate = settings.learning_rate * factor
        if settings.lr_weight_decay:
            rate *= 0.5 ** tf.cast(model.step // HALVING_STEPS, tf.float32)
        codes = seen = model.table.gather(rows)
        if settings.code_noise:
            noise = tf.random.stateless_normal(tf.shape(codes), tf.stack([settings.seed, model.step]))
            seen += settings.code_noise * noise_factor(model.step, learned, settings.noise_schedule) * noise
        losses, to_codes = learn(seen, images, rate)
        to_codes += 2 * settings.code_decay * codes
        model.table.update(rows, codes, to_codes, settings.alpha * factor)
        if model.average:
            _follow(model.average, model.generator, settings.ema, model.step)
        model.step.assign_add(1)
        return losses

    return step


def make_refinement(model: Model, settings: TrainSettings) -> Step:
    """Compile the step of the last epoch, in which the generator, as evaluated, stands still and only codes move.

    As `make_step`, but each code of the batch takes `settings.refine_steps` updates, at a rate that falls to 0: while
    the generator learned, the codes, seen once an epoch, ran after it.
    """
    loss = build_loss(settings.loss)

    @tf.function(jit_compile=device.jit(settings.jit))
    def gradients(codes: tf.Tensor, target: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(codes)
            with precision.computing_in(model.evaluated, settings.precision):
                images = model.evaluated(codes, training=False)
            losses = loss(images, target)
        return losses, tape.gradient(losses, codes)

    @tf.function(input_signature=_batch(model))
    def step(rows: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
        target, codes = decode(images), model.table.gather(rows)
        first = second = tf.zeros_like(codes)
        before = tf.zeros_like(codes[:, 0])
        for update in tf.range(settings.refine_steps):
            losses, to_codes = gradients(codes, target)
            before = tf.where(update == 0, losses, before)
            to_codes += 2 * settings.code_decay * codes
            move, first, second = adam(first, second, tf.fill(tf.shape(losses), update + 1), to_codes)
            alpha = REFINEMENT * descent_factor(update, settings.refine_steps)
            codes = project(codes - alpha * move, settings.projection)
        model.table.assign(rows, codes)
        model.step.assign_add(1)
        return before

    return step


def _batch(model: Model) -> list[tf.TensorSpec]:
    return [tf.TensorSpec([None], tf.int64), tf.TensorSpec([None, *model.generator.output_shape[1:]], tf.uint8)]


def _follow(average: keras.Model, generator: keras.Model, decay: float, step: tf.Tensor) -> None:
    """Move the average towards the generator, batch statistics too; faster at first, to forget the random start."""
    taken = tf.cast(step, tf.float32)
    share = 1 - tf.minimum(decay, (1 + taken) / (10 + taken))
    for slow, fast in zip(average.variables, generator.variables, strict=True):
        slow.assign_add(share * (fast - slow))
