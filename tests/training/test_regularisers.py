"""Noise, decay and refinement of codes; weight decay, gradient clipping and averaging of the generator."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from glo.data.randomness import Stream
from glo.model.glo_model import GloModel, normalize_pixels
from glo.model.losses import build as build_loss
from glo.model.row_noise import row_normal
from glo.model.schedules import descent_factor, noise_factor
from glo.settings import TrainSettings
from glo.training import checkpoint
from glo.training.step import make_refinement, make_step
from tests.support import samples

ROWS = np.array([3, 9, 20, 31])
SGD = TrainSettings(
    channels=4,
    loss="mse",
    schedule="constant",
    learning_rate=0.01,
    alpha=0.5,
    generator_optimizer="sgd",
    code_optimizer="sgd",
    projection="none",
)


def make_model(**changes):
    """A model with codes of 6 dimensions, its settings, and its 32 training images."""
    images, codes = samples(32, (8, 8, 1), 6)
    settings = dataclasses.replace(SGD, **changes)
    return GloModel(images.shape[1:], codes, settings), settings, images


def train(**changes):
    """A model after one step."""
    model, settings, images = make_model(**changes)
    step = make_step(model, build_loss(settings.loss), settings, learned=100)
    step(ROWS, images[ROWS])
    return model


def test_noise_is_added_to_inputs_and_not_to_codes():
    model, settings, images = make_model(code_noise=0.3, noise_schedule="linear", seed=5)
    model.step.assign(25)
    codes = tf.constant(model.table.codes.numpy()[ROWS])
    key = tf.random.experimental.stateless_fold_in(
        tf.constant([5, Stream.CODE_NOISE], tf.int64), tf.constant(25, tf.int64)
    )
    inputs = codes + 0.3 * 0.75 * row_normal(key, tf.constant(ROWS, tf.int64), 6)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        losses = build_loss("mse")(model.generator(inputs, training=True), normalize_pixels(images[ROWS]))
    expected = codes - 0.5 * tape.gradient(losses, inputs)
    step = make_step(model, build_loss(settings.loss), settings, learned=100)
    np.testing.assert_allclose(step(ROWS, images[ROWS]), losses, rtol=1e-4)
    np.testing.assert_allclose(model.table.codes.numpy()[ROWS], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("schedule", "expected"), [("constant", [1, 1, 1, 1]), ("linear", [1, 0.75, 0, 0]), ("cosine", [1, 0.853553, 0, 0])]
)
def test_noise_schedules(schedule, expected):
    factors = [float(noise_factor(tf.constant(step, tf.int64), 100, schedule)) for step in (0, 25, 100, 130)]
    np.testing.assert_allclose(factors, expected, atol=1e-6)


def test_code_decay_shrinks_codes():
    plain, decayed = train(), train(code_decay=0.1)
    before = samples(32, (8, 8, 1), 6)[1][ROWS]
    difference = plain.table.codes.numpy()[ROWS] - decayed.table.codes.numpy()[ROWS]
    np.testing.assert_allclose(difference, 0.5 * 2 * 0.1 * before, rtol=1e-4, atol=1e-6)


def test_weight_decay_shrinks_only_kernels():
    start, plain, decayed = make_model()[0], train(), train(weight_decay=0.2)
    for first, a, b in zip(*(model.generator.trainable_variables for model in (start, plain, decayed)), strict=True):
        expected = 0.01 * 0.2 * first.numpy() if first.path.endswith("kernel") else np.zeros(first.shape)
        np.testing.assert_allclose(a.numpy() - b.numpy(), expected, rtol=1e-3, atol=1e-6)


def test_clipping_limits_the_norm_of_the_update():
    start, plain, clipped = make_model()[0], train(), train(clip_norm=0.01)

    def update_norm(model):
        pairs = zip(model.generator.trainable_variables, start.generator.trainable_variables, strict=True)
        return np.sqrt(sum(np.sum((a.numpy() - b.numpy()) ** 2) for a, b in pairs))

    assert update_norm(plain) > 2e-4
    np.testing.assert_allclose(update_norm(clipped), 0.01 * 0.01, rtol=1e-2)


def test_the_average_of_the_weights_is_evaluated():
    model, settings, images = make_model(ema=0.5)
    expected = [variable.numpy() for variable in model.generator.variables]
    step = make_step(model, build_loss(settings.loss), settings, learned=100)
    for index in range(9):
        step(ROWS, images[ROWS])
        decay = min(0.5, (1 + index) / (10 + index))
        expected = [
            decay * e + (1 - decay) * v.numpy() for e, v in zip(expected, model.generator.variables, strict=True)
        ]
    assert model.evaluated is model.average
    for variable, value in zip(model.average.variables, expected, strict=True):
        np.testing.assert_allclose(variable.numpy(), value, rtol=1e-4, atol=1e-6)
    assert {name for name in checkpoint.variables(model) if name.startswith("average/")} == {
        f"average/{variable.path}" for variable in model.generator.variables
    }


def test_refinement_updates_only_codes_by_adam_with_a_falling_step_size():
    model, settings, images = make_model(refine_steps=2, projection="ball")
    weights = [variable.numpy() for variable in model.generator.variables]
    before = model.table.codes.numpy()
    target, codes = normalize_pixels(images[ROWS]), tf.constant(before[ROWS])
    first, second = np.zeros((4, 6)), np.zeros((4, 6))
    for visit, rate in ((1, 0.006), (2, 0.003)):
        with tf.GradientTape() as tape:
            tape.watch(codes)
            losses = build_loss("mse")(model.generator(codes, training=False), target)
        gradient = tape.gradient(losses, codes).numpy()
        first, second = 0.5 * first + 0.5 * gradient, 0.9 * second + 0.1 * gradient**2
        direction = first / (1 - 0.5**visit) / (np.sqrt(second / (1 - 0.9**visit)) + 1e-8)
        updated = codes.numpy() - rate * direction
        codes = tf.constant(updated / np.maximum(1, np.linalg.norm(updated, axis=1, keepdims=True)), tf.float32)
        if visit == 1:
            initial_losses = losses
    refine = make_refinement(model, build_loss(settings.loss), settings)
    np.testing.assert_allclose(refine(ROWS, images[ROWS]), initial_losses, rtol=1e-4)
    after = model.table.codes.numpy()
    np.testing.assert_allclose(after[ROWS], codes, rtol=1e-3, atol=1e-5)
    np.testing.assert_array_equal(np.delete(after, ROWS, 0), np.delete(before, ROWS, 0))
    for variable, value in zip(model.generator.variables, weights, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)
    assert int(model.step) == 1


def test_the_step_size_of_refinement_falls_to_nearly_zero():
    factors = [float(descent_factor(tf.constant(update), 10)) for update in range(10)]
    assert factors[0] == 1
    assert np.all(np.diff(factors) < 0)
    assert factors[-1] < 0.03
