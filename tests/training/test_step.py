"""One training step against computations by hand, and training over several steps."""

import dataclasses
import itertools

import numpy as np
import pytest
import tensorflow as tf

from glo.model.glo_model import GloModel, normalize_pixels
from glo.model.losses import build as build_loss
from glo.model.schedules import rate_factor
from glo.settings import TrainSettings
from glo.training.step import make_step
from tests.support import samples

SETTINGS = TrainSettings(channels=4, loss="mse", schedule="constant", learning_rate=0.01, alpha=0.5)


def make_training(n=32, **changes):
    """A model with codes of 6 dimensions, its training step, and its n training images."""
    images, codes = samples(n, (8, 8, 1), 6)
    settings = dataclasses.replace(SETTINGS, **changes)
    model = GloModel(images.shape[1:], codes, settings)
    return model, make_step(model, build_loss(settings.loss), settings, learned=100), images


def own_gradients(model, images, rows):
    """Gradient of each code for its own loss, float32 [B, d]: that of the sum, and not the mean, of the losses."""
    codes = tf.constant(model.table.codes.numpy()[rows])
    with tf.GradientTape() as tape:
        tape.watch(codes)
        total = tf.reduce_sum(tf.square(model.generator(codes, training=True) - normalize_pixels(images[rows]))) / 64
    return tape.gradient(total, codes).numpy()


def test_normalize_pixels():
    np.testing.assert_allclose(normalize_pixels(np.array([0, 255, 51], np.uint8)), [-1, 1, -0.6], rtol=1e-6)


@pytest.mark.parametrize("update", ["joint", "alternate"])
def test_one_step_by_hand(update):
    model, step, images = make_training(code_optimizer="sgd", generator_optimizer="sgd", update=update)
    rows = np.array([3, 9, 20, 31])
    twin, _, _ = make_training(code_optimizer="sgd", generator_optimizer="sgd", update=update)
    with tf.GradientTape() as tape:
        mean = tf.reduce_mean(
            build_loss("mse")(twin.generator(twin.table.gather(rows), training=True), normalize_pixels(images[rows]))
        )
    gradients = tape.gradient(mean, twin.generator.trainable_variables)
    expected_weights = [
        w.numpy() - 0.01 * g.numpy() for w, g in zip(twin.generator.trainable_variables, gradients, strict=True)
    ]
    expected_codes = twin.table.codes.numpy()
    if update == "alternate":  # the gradients of codes are those of the updated generator
        for variable, value in zip(twin.generator.trainable_variables, expected_weights, strict=True):
            variable.assign(value)
    updated = expected_codes[rows] - 0.5 * own_gradients(twin, images, rows)
    expected_codes[rows] = updated / np.maximum(1, np.linalg.norm(updated, axis=1, keepdims=True))

    losses = step(rows, images[rows])
    assert losses.shape == (4,)
    np.testing.assert_allclose(np.mean(losses), mean, rtol=1e-5)
    for variable, value in zip(model.generator.trainable_variables, expected_weights, strict=True):
        np.testing.assert_allclose(variable, value, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(model.table.codes, expected_codes, rtol=1e-4, atol=1e-6)
    assert int(model.step) == 1


def test_alpha_means_the_same_at_every_batch_size():
    """Tested with SGD, since the first update of Adam does not depend on the scale of the gradient."""

    def distance(batch):
        model, step, images = make_training(64, code_optimizer="sgd")
        before = model.table.codes.numpy()
        step(np.arange(batch), images[:batch])
        return np.linalg.norm(model.table.codes.numpy() - before, axis=1)[:batch].mean()

    assert distance(64) == pytest.approx(
        distance(8), rel=0.25
    )  # batch statistics differ a little; division by B would give a factor of 8


def test_training_lowers_the_loss_threefold():
    model, step, images = make_training(32, alpha=5.0, channels=16)
    rows = np.arange(32)
    first = np.mean(step(rows, images))
    for _ in range(150):
        last = np.mean(step(rows, images))
    assert last < first / 3
    assert np.linalg.norm(model.table.codes, axis=1).max() <= 1 + 1e-6


def test_the_learning_rate_halves_every_10000_steps():
    model, step, images = make_training(lr_weight_decay=True)
    rates = {}
    for number in (0, 9_999, 10_000, 25_000):
        model.step.assign(number)
        step(np.arange(4), images[:4])
        rates[number] = float(model.optimizer.learning_rate)
    assert rates == pytest.approx({0: 0.01, 9_999: 0.01, 10_000: 0.005, 25_000: 0.0025})


def test_cosine_schedule():
    factors = [float(rate_factor(tf.constant(s, tf.int64), 100, "cosine")) for s in range(101)]
    assert factors[0] == pytest.approx(0.5)  # 2 % warm-up
    assert factors[1] == pytest.approx(1)
    assert factors[50] == pytest.approx(0.5 + 0.5 * np.cos(np.pi * 49 / 99), rel=1e-4)
    assert 0 < factors[99] < 1e-3
    assert factors[100] == pytest.approx(0, abs=1e-6)
    assert all(a >= b for a, b in itertools.pairwise(factors[1:]))


def test_evaluation_statistics_follow_training():
    """Evaluation uses moving statistics, which must give reconstructions as good as batch statistics do."""
    model, step, images = make_training(64, alpha=5.0, channels=16, schedule="cosine")
    for _ in range(100):
        step(np.arange(64), images)
    errors = [
        float(tf.reduce_mean(tf.square(model.generator(model.table.codes, training=t) - normalize_pixels(images))))
        for t in (False, True)
    ]
    assert errors[0] < 1.1 * errors[1]


def statistics(model):
    """The moving means and variances of batch normalisation."""
    return [v.numpy() for v in model.generator.variables if "moving" in v.path]


def test_alternate_updates_the_moving_statistics_once_a_step():
    updated = {}
    for update in ("joint", "alternate"):
        model, step, images = make_training(update=update, film=4)
        step(np.arange(8), images[:8])
        updated[update] = statistics(model)
    assert len(updated["joint"]) == 4
    for joint, alternate in zip(updated["joint"], updated["alternate"], strict=True):
        np.testing.assert_allclose(alternate, joint, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("update", ["joint", "alternate"])
def test_a_batch_of_one_image_keeps_the_moving_statistics_and_trains_film(update):
    """Batch statistics of a single code would normalise FiLM's hidden layer to 0, which has no gradient."""
    model, step, images = make_training(update=update, film=4, generator_optimizer="sgd", learning_rate=1.0)
    step(np.arange(8), images[:8])  # FiLM's last layers are 0 before the first step
    before, kernel = statistics(model), model.generator.get_layer("film_hidden").kernel.numpy()
    step(np.array([9]), images[9:10])
    for old, new in zip(before, statistics(model), strict=True):
        np.testing.assert_array_equal(old, new)
    assert np.abs(model.generator.get_layer("film_hidden").kernel.numpy() - kernel).max() > 0


def test_a_code_that_is_not_finite_shows_in_its_loss():
    """The training loop checks losses and weights, but not the code table, for values that are not finite."""
    _, step, images = make_training(alpha=1e39, code_optimizer="sgd", projection="none")
    assert np.isnan(step(np.arange(4), images[:4])).all()
