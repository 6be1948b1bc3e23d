"""One training step of GLO: update the generator by the mean loss and each code by its own loss, then project codes.

    min over theta of sum_i  min over z_i in the unit ball of  loss(g_theta(z_i), x_i)      (equation 2 of the paper)

A step consists of three functions: `gradients` of a batch, `reduce` over workers, and `apply`.
"""

import contextlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from glo.data.randomness import Stream
from glo.model.batch_norm import frozen_statistics, synced_statistics
from glo.model.codes import adam, project
from glo.model.glo_model import GloModel, normalize_pixels
from glo.model.losses import Loss
from glo.model.precision import computing_in
from glo.model.row_noise import row_normal
from glo.model.schedules import descent_factor, noise_factor, rate_factor
from glo.runtime import device
from glo.settings import TrainSettings
from glo.workers.crew import ALONE, Crew

HALVING_STEPS = 10_000  # the learning rate halves after this many steps with --lr_weight_decay
REFINEMENT_ALPHA = 6.0  # step size of the first update of refinement

# (rows int64 [B] of the code table, each at most once; their images uint8 [B, H, W, C]) -> losses float32 [B] before
# the update. The loss of a sample whose new code is not finite is NaN.
Step = Callable[[np.ndarray, np.ndarray], tf.Tensor]


class Gradients(NamedTuple):
    """Gradients of a batch.

    generator: gradients of the mean loss for the trainable weights; empty if the generator is not updated.
    codes: gradient of each sample's own loss for its code, float32 [B, d]; None if codes are not updated.
    companion: those of the encoder or the discriminator of other methods; empty with GLO.
    """

    generator: list[tf.Tensor]
    codes: tf.Tensor | None = None
    companion: Sequence[tf.Tensor] = ()


class Rates(NamedTuple):
    """Step sizes of an update, scalars float32. learning_rate: of the generator. alpha: of the codes."""

    learning_rate: tf.Tensor
    alpha: tf.Tensor


# The parts that each pass of a step updates. `alternate` computes the gradients of codes after the generator's update.
PASSES = {"joint": (("generator", "codes"),), "alternate": (("generator",), ("codes",))}


def gradients(
    model: GloModel,
    loss: Loss,
    precision: str,
    inputs: tf.Tensor,
    condition: tf.Tensor,
    images: tf.Tensor,
    size: tf.Tensor,
    present: tf.Tensor | None,
    parts: tuple[str, ...],
) -> tuple[tf.Tensor, Gradients]:
    """Compute losses float32 [B] and the gradients of `parts`, a subset of "generator" and "codes".

    inputs: codes with their noise, float32 [B, d]. condition: float32 [B, k]. images: uint8 [B, H, W, C].
    size: by which the sum of losses is divided, a scalar float32; B gives their mean. present: float32 [B], 0 for
    images that do not count; None if all do.
    """
    weights = model.generator.trainable_variables if "generator" in parts else []
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        with computing_in(model.generator, precision):
            losses = loss(model.decode(inputs, condition, training=True), normalize_pixels(images))
        mean = tf.reduce_sum(losses if present is None else losses * present) / size
    *weight_gradients, code_gradients = tape.gradient(mean, [*weights, inputs])
    # The mean divides the gradient of each sample's own loss by B, which would slow down codes.
    code_gradients *= size
    return losses, Gradients(weight_gradients, code_gradients if "codes" in parts else None)


def reduce(model: GloModel, grads: Gradients, size: tf.Tensor, count: tf.Tensor, crew: Crew) -> Gradients:
    """Turn the generator's gradients of all workers into those of the mean loss of the whole batch.

    Moving statistics of batch normalisation become their averages over workers. All is sent at once. With one worker,
    this is the identity.
    size: by which each worker has divided its sum of losses. count: number of images of this worker, a scalar float32.
    """
    if crew.count == 1 or not grads.generator:
        return grads
    statistics = model.generator.non_trainable_variables
    summands = [size * gradient for gradient in grads.generator] + [count * variable for variable in statistics]
    flat = crew.total(tf.concat([count[None], *(tf.reshape(summand, [-1]) for summand in summands)], 0))
    means = tf.split(flat[1:] / flat[0], [summand.shape.num_elements() for summand in summands])
    means = [tf.reshape(mean, summand.shape) for mean, summand in zip(means, summands, strict=True)]
    for variable, mean in zip(statistics, means[len(grads.generator) :], strict=True):
        variable.assign(mean)
    return grads._replace(generator=means[: len(grads.generator)])


def apply(model: GloModel, rows: tf.Tensor, codes: tf.Tensor, grads: Gradients, rates: Rates) -> None:
    """Update the generator and the codes float32 [B, d] of rows int64 [B] by their gradients, and project the codes.

    A companion is updated like the generator.
    """
    networks = (
        (model.generator, model.optimizer, grads.generator),
        (model.companion, model.companion_optimizer, grads.companion),
    )
    for network, optimizer, gradient in networks:
        if gradient:
            optimizer.learning_rate.assign(rates.learning_rate)
            optimizer.apply(gradient, network.trainable_variables)
    if grads.codes is not None:
        model.table.update(rows, codes, grads.codes, rates.alpha)


def make_step(
    model: GloModel,
    loss: Loss,
    settings: TrainSettings,
    learned: int,
    crew: Crew = ALONE,
    rows_of_all: np.ndarray | None = None,
) -> Step:
    """Compile the training step.

    loss: that of the settings. learned: number of steps that the schedules cover. crew: the workers, each of which
    takes the step with its part of the batch, which may be empty. rows_of_all: the row of the code table of all
    workers, int64 [m], of each row of this worker; None if there is one worker.
    """
    synced = crew.count > 1 and settings.batch_norm == "synced"

    # XLA may compile only this part, which is the expensive one: the code table is not on the device. It cannot compile
    # sums over workers.
    @tf.function(jit_compile=device.jit(settings.jit) and not synced)
    def compiled_gradients(
        inputs: tf.Tensor,
        condition: tf.Tensor,
        images: tf.Tensor,
        size: tf.Tensor,
        present: tf.Tensor | None,
        parts: tuple[str, ...],
    ) -> tuple[tf.Tensor, Gradients]:
        with contextlib.ExitStack() as statistics:
            if synced:
                statistics.enter_context(synced_statistics(model.generator, crew.total, present))
            if "generator" not in parts:  # the pass that updates the generator has updated them
                statistics.enter_context(frozen_statistics(model.generator))
            return gradients(model, loss, settings.precision, inputs, condition, images, size, present, parts)

    @tf.function(input_signature=batch_signature(model))
    def step(rows: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
        own, present = tf.shape(rows)[0], None
        if crew.count > 1:
            rows, images, present = _never_empty(rows, images)
        codes, condition = model.table.gather(rows), model.condition(rows)
        noise = _noise(model, settings, learned, rows if rows_of_all is None else tf.gather(rows_of_all, rows))
        rates = step_sizes(model, settings, learned)
        inputs = codes if noise is None else codes + noise
        count = tf.cast(own, tf.float32)
        # Several workers must divide by the same number, for gradients that pass through synced statistics.
        size = count if crew.count == 1 else tf.constant(settings.batch_size, tf.float32)
        initial_losses = None
        for parts in PASSES[settings.update]:
            losses, grads = compiled_gradients(inputs, condition, images, size, present, parts)
            initial_losses = losses if initial_losses is None else initial_losses
            if grads.codes is not None:
                grads = grads._replace(codes=(grads.codes + 2 * settings.code_decay * codes)[:own])
            apply(model, rows[:own], codes[:own], reduce(model, grads, size, count, crew), rates)
        count_step(model, settings)
        return nan_where_not_finite(initial_losses[:own], model.table.gather(rows[:own]))

    return step


def make_refinement(model: GloModel, loss: Loss, settings: TrainSettings) -> Step:
    """Compile the step of the last epoch, which updates only codes. The generator is frozen, as in evaluation.

    loss: that of the settings.

    Each code of the batch takes `settings.refine_steps` updates with a step size that falls to 0. While the
    generator is trained, codes are updated once an epoch and lag behind it; refinement lets them catch up.
    """

    @tf.function(jit_compile=device.jit(settings.jit))
    def code_gradients(codes: tf.Tensor, condition: tf.Tensor, target: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(codes)
            with computing_in(model.evaluated, settings.precision):
                losses = loss(model.decode(codes, condition), target)
        return losses, tape.gradient(losses, codes)

    @tf.function(input_signature=batch_signature(model))
    def compiled_step(rows: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
        target, codes, condition = normalize_pixels(images), model.table.gather(rows), model.condition(rows)
        first = second = tf.zeros_like(codes)
        initial_losses = tf.zeros_like(codes[:, 0])
        for update in tf.range(settings.refine_steps):
            losses, grads = code_gradients(codes, condition, target)
            initial_losses = tf.where(update == 0, losses, initial_losses)
            grads += 2 * settings.code_decay * codes
            direction, first, second = adam(first, second, tf.fill(tf.shape(losses), update + 1), grads)
            alpha = REFINEMENT_ALPHA * descent_factor(update, settings.refine_steps)
            codes = project(codes - alpha * direction, settings.projection)
        model.table.assign(rows, codes)
        model.step.assign_add(1)
        return nan_where_not_finite(initial_losses, codes)

    def step(rows: np.ndarray, images: np.ndarray) -> tf.Tensor:
        if len(rows):
            return compiled_step(rows, images)
        model.step.assign_add(1)  # the part of a worker may be empty
        return tf.zeros(0)

    return step


def _never_empty(rows: tf.Tensor, images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Add row 0 with a black image to an empty batch, because some kernels fail if there are no images.

    Returns rows, images, and 1 for images that were in the batch, else 0, float32 [B].
    """
    missing = tf.cast(tf.equal(tf.shape(rows)[0], 0), tf.int32)
    ends = tf.stack([0, missing])
    present = tf.pad(tf.ones_like(rows, tf.float32), ends[None])
    padded = tf.pad(images, tf.concat([ends[None], tf.zeros((3, 2), tf.int32)], 0))
    return tf.pad(rows, ends[None]), tf.ensure_shape(padded, images.shape), present


def batch_signature(model: GloModel) -> list[tf.TensorSpec]:
    """The arguments of a step, see `Step`."""
    return [tf.TensorSpec([None], tf.int64), tf.TensorSpec([None, *model.image_shape], tf.uint8)]


def step_sizes(model: GloModel, settings: TrainSettings, learned: int) -> Rates:
    """Both step sizes at the model's step."""
    factor = rate_factor(model.step, learned, settings.schedule)
    rate = settings.learning_rate * factor
    if settings.lr_weight_decay:
        rate *= 0.5 ** tf.cast(model.step // HALVING_STEPS, tf.float32)
    return Rates(rate, settings.alpha * factor)


def _noise(model: GloModel, settings: TrainSettings, learned: int, rows: tf.Tensor) -> tf.Tensor | None:
    """Noise that is added to the codes of `rows` at the model's step, float32 [B, d]; None without --code_noise.

    It depends on the seed, the step and the row, and not on the other rows of the batch.
    """
    if not settings.code_noise:
        return None
    key = tf.constant([settings.seed, Stream.CODE_NOISE], tf.int64)
    noise = row_normal(tf.random.experimental.stateless_fold_in(key, model.step), rows, model.dimension)
    return settings.code_noise * noise_factor(model.step, learned, settings.noise_schedule) * noise


def nan_where_not_finite(losses: tf.Tensor, codes: tf.Tensor) -> tf.Tensor:
    """Replace losses [B] by NaN where codes [B, d] are not finite, since divergence is detected by losses."""
    finite = tf.reduce_all(tf.math.is_finite(codes), axis=1)
    return tf.where(finite, losses, tf.fill(tf.shape(losses), tf.constant(float("nan"))))


def count_step(model: GloModel, settings: TrainSettings) -> None:
    """Count a step of training, after which the moving average of weights and batch statistics follows the generator.

    In early steps, the decay of the average is smaller.
    """
    if model.average:
        steps = tf.cast(model.step, tf.float32)
        share = 1 - tf.minimum(settings.ema, (1 + steps) / (10 + steps))
        for mean, value in zip(model.average.variables, model.generator.variables, strict=True):
            mean.assign_add(share * (value - mean))
    model.step.assign_add(1)
