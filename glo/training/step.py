"""One training step of GLO: move the generator on the mean loss, move each code of the batch on its own, project.

    min over theta of sum_i  min over z_i in the unit ball of  loss(g_theta(z_i), x_i)      (equation 2 of the paper)

A step is three functions: `gradients` of a batch, `reduce` over workers, and `apply`.
"""

from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from glo.data.randomness import Stream
from glo.model.batch_norm import frozen_statistics
from glo.model.codes import adam, project
from glo.model.glo_model import GloModel, normalize_pixels
from glo.model.losses import Loss
from glo.model.losses import build as build_loss
from glo.model.precision import computing_in
from glo.model.schedules import descent_factor, noise_factor, rate_factor
from glo.runtime import device
from glo.settings import TrainSettings

HALVING_STEPS = 10_000
REFINEMENT_ALPHA = 6.0  # of the refinement's first update

# Rows int64 [B] of the code table, each at most once, and their images uint8 [B, H, W, C] -> losses float32 [B] before
# the step. The loss of a sample whose new code is not finite is NaN.
Step = Callable[[np.ndarray, np.ndarray], tf.Tensor]


class Gradients(NamedTuple):
    """What a batch moves. An empty list, or None, is not moved.

    generator: gradients of the mean loss by the trainable weights. codes: float32 [B, d], of each sample's own loss.
    """

    generator: list[tf.Tensor]
    codes: tf.Tensor | None


class Rates(NamedTuple):
    """learning_rate: of the generator. alpha: of the codes. Both are scalars, float32."""

    learning_rate: tf.Tensor
    alpha: tf.Tensor


# What a step moves, pass by pass: `alternate` takes the gradients of the codes after the generator has moved.
PASSES = {"joint": (("generator", "codes"),), "alternate": (("generator",), ("codes",))}


def gradients(
    model: GloModel,
    loss: Loss,
    precision: str,
    inputs: tf.Tensor,
    condition: tf.Tensor,
    images: tf.Tensor,
    moved: tuple[str, ...],
) -> tuple[tf.Tensor, Gradients]:
    """Losses float32 [B] of images uint8 and gradients of what is `moved`.

    inputs: codes with their noise, float32 [B, d]. condition: float32 [B, k].
    """
    weights = model.generator.trainable_variables if "generator" in moved else []
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        with computing_in(model.generator, precision):
            losses = loss(model.decode(inputs, condition, training=True), normalize_pixels(images))
        mean = tf.reduce_mean(losses)
    *to_weights, to_codes = tape.gradient(mean, [*weights, inputs])
    # The mean divides each sample's own gradient by the batch size, which must not reach the codes.
    to_codes *= tf.cast(tf.shape(inputs)[0], tf.float32)
    return losses, Gradients(to_weights, to_codes if "codes" in moved else None)


def reduce(own: Gradients) -> Gradients:
    """The mean over workers of the generator's gradients: on one worker, its own."""
    return own


def apply(model: GloModel, rows: tf.Tensor, codes: tf.Tensor, moves: Gradients, rates: Rates) -> None:
    """Move the generator, and the codes float32 [B, d] of the given rows, by their gradients; project the codes."""
    if moves.generator:
        model.optimizer.learning_rate.assign(rates.learning_rate)
        model.optimizer.apply(moves.generator, model.generator.trainable_variables)
    if moves.codes is not None:
        model.table.update(rows, codes, moves.codes, rates.alpha)


def make_step(model: GloModel, settings: TrainSettings, learned: int) -> Step:
    """Compile the training step. learned: the steps over which the schedules run."""
    loss = build_loss(settings.loss)

    # XLA may compile this part, which holds all that is costly; the code table is not on the device.
    @tf.function(jit_compile=device.jit(settings.jit))
    def compiled_gradients(
        inputs: tf.Tensor, condition: tf.Tensor, images: tf.Tensor, moved: tuple[str, ...]
    ) -> tuple[tf.Tensor, Gradients]:
        if "generator" in moved:
            return gradients(model, loss, settings.precision, inputs, condition, images, moved)
        with frozen_statistics(model.generator):  # they have moved with the generator
            return gradients(model, loss, settings.precision, inputs, condition, images, moved)

    @tf.function(input_signature=_batch(model))
    def step(rows: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
        codes, condition = model.table.gather(rows), model.condition(rows)
        noise, rates = _noise(model, settings, learned, tf.shape(codes)), _rates(model, settings, learned)
        inputs = codes if noise is None else codes + noise
        reported = None
        for moved in PASSES[settings.update]:
            losses, own = compiled_gradients(inputs, condition, images, moved)
            reported = losses if reported is None else reported
            if own.codes is not None:
                own = own._replace(codes=own.codes + 2 * settings.code_decay * codes)
            apply(model, rows, codes, reduce(own), rates)
        if model.average:
            _follow(model.average, model.generator, settings.ema, model.step)
        model.step.assign_add(1)
        return _nan_where_not_finite(reported, model.table.gather(rows))

    return step


def make_refinement(model: GloModel, settings: TrainSettings) -> Step:
    """Compile the step of the last epoch, in which the generator, as evaluated, stands still and only codes move.

    Each code of the batch takes `settings.refine_steps` updates at a rate that falls to 0. While the generator learns,
    codes are updated once an epoch and lag behind it; refinement lets them catch up.
    """
    loss = build_loss(settings.loss)

    @tf.function(jit_compile=device.jit(settings.jit))
    def code_gradients(codes: tf.Tensor, condition: tf.Tensor, target: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(codes)
            with computing_in(model.evaluated, settings.precision):
                losses = loss(model.decode(codes, condition), target)
        return losses, tape.gradient(losses, codes)

    @tf.function(input_signature=_batch(model))
    def step(rows: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
        target, codes, condition = normalize_pixels(images), model.table.gather(rows), model.condition(rows)
        first = second = tf.zeros_like(codes)
        before = tf.zeros_like(codes[:, 0])
        for update in tf.range(settings.refine_steps):
            losses, to_codes = code_gradients(codes, condition, target)
            before = tf.where(update == 0, losses, before)
            to_codes += 2 * settings.code_decay * codes
            move, first, second = adam(first, second, tf.fill(tf.shape(losses), update + 1), to_codes)
            alpha = REFINEMENT_ALPHA * descent_factor(update, settings.refine_steps)
            codes = project(codes - alpha * move, settings.projection)
        model.table.assign(rows, codes)
        model.step.assign_add(1)
        return _nan_where_not_finite(before, codes)

    return step


def _batch(model: GloModel) -> list[tf.TensorSpec]:
    return [tf.TensorSpec([None], tf.int64), tf.TensorSpec([None, *model.image_shape], tf.uint8)]


def _rates(model: GloModel, settings: TrainSettings, learned: int) -> Rates:
    """Both rates at the model's step."""
    factor = rate_factor(model.step, learned, settings.schedule)
    rate = settings.learning_rate * factor
    if settings.lr_weight_decay:
        rate *= 0.5 ** tf.cast(model.step // HALVING_STEPS, tf.float32)
    return Rates(rate, settings.alpha * factor)


def _noise(model: GloModel, settings: TrainSettings, learned: int, shape: tf.Tensor) -> tf.Tensor | None:
    """What training adds to the codes at the model's step, float32 [B, d]; None without --code_noise."""
    if not settings.code_noise:
        return None
    key = tf.constant([settings.seed, Stream.CODE_NOISE], tf.int64)
    noise = tf.random.stateless_normal(shape, tf.random.experimental.stateless_fold_in(key, model.step))
    return settings.code_noise * noise_factor(model.step, learned, settings.noise_schedule) * noise


def _nan_where_not_finite(losses: tf.Tensor, codes: tf.Tensor) -> tf.Tensor:
    """The losses [B], NaN for a sample whose code [B, d] is not finite: codes of earlier batches are not looked at."""
    finite = tf.reduce_all(tf.math.is_finite(codes), axis=1)
    return tf.where(finite, losses, tf.fill(tf.shape(losses), tf.constant(float("nan"))))


def _follow(average: keras.Model, generator: keras.Model, decay: float, step: tf.Tensor) -> None:
    """Move the average towards the generator, batch statistics too; faster at first, to forget the random start."""
    taken = tf.cast(step, tf.float32)
    share = 1 - tf.minimum(decay, (1 + taken) / (10 + taken))
    for slow, fast in zip(average.variables, generator.variables, strict=True):
        slow.assign_add(share * (fast - slow))
