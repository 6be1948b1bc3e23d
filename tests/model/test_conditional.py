"""Conditional generators and models against formulas."""

import numpy as np
import pytest
import tensorflow as tf

from glo.data.conditions import Conditions
from glo.inference.decoder import Decoder
from glo.model import generator, geometry, precision
from glo.model.glo_model import GloModel, normalize_pixels
from glo.model.losses import build as build_loss
from glo.settings import TrainSettings
from glo.training.step import make_refinement, make_step
from tests.support import samples

LABELS = Conditions(("a", "b", "c"), (1, 2, 5), np.arange(8, dtype=np.int32) % 3)
SETTINGS = TrainSettings(channels=4, film=3, loss="mse", schedule="constant", learning_rate=0.01, alpha=0.5)


@pytest.mark.parametrize("kind", generator.UPSAMPLING)
@pytest.mark.parametrize("film", [0, 3])
def test_a_conditional_generator_is_one_of_codes_with_the_embedding_appended(kind, film):
    settings = TrainSettings(generator=kind, channels=4, film=film, seed=3)
    model = generator.build((8, 12, 3), 5, settings, condition_size=4)
    random = np.random.default_rng(0)
    weights = {weight.path.removeprefix("generator/"): weight for weight in model.weights}
    for path, weight in weights.items():
        values = random.uniform(-0.3, 0.3, weight.shape).astype(np.float32)
        weight.assign(np.abs(values) + 0.5 if path.endswith("moving_variance") else values)
    codes = random.standard_normal((6, 5)).astype(np.float32)
    condition = random.random((6, 4)).astype(np.float32)
    plain = generator.build((8, 12, 3), 5 + geometry.EMBEDDING, settings)
    for weight in plain.weights:
        weight.assign(weights[weight.path.removeprefix("generator/")])
    joined = np.concatenate([codes, condition @ weights["embedding/kernel"].numpy()], axis=1)
    expected = np.asarray(plain(joined))
    np.testing.assert_allclose(np.asarray(model([codes, condition])), expected, atol=1e-5)
    assert np.abs(np.asarray(model([codes, condition[::-1]])) - expected).max() > 1e-2


def test_rows_of_the_table_have_the_conditions_of_their_images():
    _, codes = samples(16, (8, 8, 1), 6)
    model = GloModel((8, 8, 1), codes, SETTINGS, LABELS)  # 8 images and a copy of each
    rows = np.array([0, 5, 8, 13])
    np.testing.assert_array_equal(model.condition(rows), np.eye(3)[[0, 2, 0, 2]])
    attributes = Conditions(("x", "y"), None, np.array([[0, 1], [1, 1], [1, 0]], np.uint8))
    model = GloModel((8, 8, 1), codes[:6], SETTINGS, attributes)
    np.testing.assert_array_equal(model.condition(np.array([4, 2, 3])), [[1, 1], [1, 0], [0, 1]])
    assert GloModel((8, 8, 1), codes, SETTINGS).condition(rows).shape == (4, 0)


def test_a_training_step_by_hand():
    images, codes = samples(16, (8, 8, 1), 6)
    sgd = {**vars(SETTINGS), "code_optimizer": "sgd", "generator_optimizer": "sgd"}
    settings = TrainSettings(**sgd)
    model, twin = (GloModel((8, 8, 1), codes, settings, LABELS) for _ in range(2))
    rows = np.array([1, 6, 9, 14])
    condition = np.eye(3, dtype=np.float32)[rows % 8 % 3]
    z, condition = tf.constant(codes[rows]), tf.constant(condition)
    with tf.GradientTape() as tape:
        tape.watch(z)
        decoded = twin.generator([z, condition], training=True)
        losses = tf.reduce_mean(tf.square(decoded - normalize_pixels(images[rows])), axis=(1, 2, 3))
        mean = tf.reduce_mean(losses)
    *to_weights, to_codes = tape.gradient(mean, [*twin.generator.trainable_variables, z])
    step_losses = make_step(model, build_loss(settings.loss), settings, learned=100)(rows, images[rows])
    np.testing.assert_allclose(step_losses, losses, rtol=1e-5)
    for variable, before, gradient in zip(
        model.generator.trainable_variables, twin.generator.trainable_variables, to_weights, strict=True
    ):
        np.testing.assert_allclose(variable, before - 0.01 * gradient, rtol=1e-4, atol=1e-6)
    moved = codes[rows] - 0.5 * 4 * to_codes.numpy()
    expected = moved / np.maximum(1, np.linalg.norm(moved, axis=1, keepdims=True))
    np.testing.assert_allclose(model.table.codes.numpy()[rows], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("changes", [{"ema": 0.5}, {"precision": "bfloat16"}, {"jit": "on"}, {"update": "alternate"}])
def test_training_lowers_the_loss_and_refinement_lowers_it_further(changes):
    images, codes = samples(8, (8, 8, 1), 6)
    settings = TrainSettings(channels=8, film=4, loss="mse", refine_steps=10, **changes)
    model = GloModel((8, 8, 1), codes, settings, LABELS)
    step, rows = make_step(model, build_loss(settings.loss), settings, learned=60), np.arange(8)
    losses = [float(np.mean(step(rows, images))) for _ in range(60)]
    assert losses[-1] < 0.7 * losses[0]
    refine = make_refinement(model, build_loss(settings.loss), settings)
    assert np.mean(refine(rows, images)) > np.mean(refine(rows, images))


@pytest.mark.parametrize("condition_size", [0, 3])
@pytest.mark.filterwarnings("error")  # Keras warns of inputs in another structure than the model's
def test_precision_is_measured_with_and_without_a_condition(condition_size):
    speeds = precision.measure(TrainSettings(channels=4), (8, 8, 1), 5, 4, condition_size)
    assert set(speeds) == {"float32", "bfloat16"}


@pytest.mark.parametrize("conditions", [None, LABELS])
@pytest.mark.filterwarnings("error")
def test_models_with_and_without_a_condition_decode_and_train_without_warnings(conditions):
    images, codes = samples(8, (8, 8, 1), 6)
    model = GloModel((8, 8, 1), codes, SETTINGS, conditions)
    assert np.isfinite(make_step(model, build_loss(SETTINGS.loss), SETTINGS, learned=10)(np.arange(8), images)).all()
    assert Decoder(model).images(codes, conditions).shape == (8, 8, 8, 1)
