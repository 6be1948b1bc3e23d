"""Fast fitting by L-BFGS."""

from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from glo.inference.decoder import Decoder
from glo.inference.quasi_newton import make_minimizer
from glo.model.glo_model import GloModel
from glo.settings import TrainSettings
from tests.support import samples

D, SHAPE = 5, (4, 3, 1)


@pytest.fixture(scope="module")
def linear():
    """A linear generator z A of images 4x3, with singular values from 0.05 to 1, and A."""
    random = np.random.default_rng(0)
    left, right = (np.linalg.qr(random.standard_normal((n, D)))[0] for n in (12, D))
    matrix = (right * np.geomspace(0.05, 1, D) @ left.T).astype(np.float32)
    decode = lambda codes, conditions: tf.reshape(codes @ matrix, [-1, *SHAPE])  # noqa: E731
    return SimpleNamespace(dimension=D, condition_size=0, image_shape=SHAPE, decode=decode), matrix


def errors(images, codes, matrix):
    return np.mean(np.square(codes @ matrix - (images.reshape(len(images), -1) / 127.5 - 1)), axis=1)


def test_it_solves_least_squares_problems(linear):
    model, matrix = linear
    images, _ = samples(7, SHAPE, D, seed=1)
    target = images.reshape(7, -1) / 127.5 - 1
    solutions = np.linalg.lstsq(matrix.T.astype(np.float64), target.T, rcond=None)[0].T
    codes = make_minimizer(model, "none", 3)(np.zeros((7, D), np.float32), images, 40)
    np.testing.assert_allclose(errors(images, codes, matrix), errors(images, solutions, matrix), rtol=1e-4)
    np.testing.assert_allclose(codes, solutions, atol=0.05 * np.abs(solutions).max())


def test_errors_never_grow_and_codes_stay_in_the_ball(linear):
    model, matrix = linear
    images, codes = samples(20, SHAPE, D, seed=2)
    minimize, previous = make_minimizer(model, "ball", 8), errors(images, codes, matrix)
    for steps in (1, 2, 3, 6, 12):
        fitted = minimize(codes, images, steps)
        assert np.linalg.norm(fitted, axis=1).max() <= 1 + 1e-6
        now = errors(images, fitted, matrix)
        assert (now <= previous * (1 + 1e-5)).all()
        previous = now
    assert previous.mean() < errors(images, codes, matrix).mean()


def test_no_steps_return_the_starts(linear):
    images, codes = samples(3, SHAPE, D)
    np.testing.assert_array_equal(make_minimizer(linear[0], "ball", 2)(codes, images, 0), codes)


def test_images_are_fitted_independently(linear):
    model, _ = linear
    images, codes = samples(6, SHAPE, D, seed=3)
    whole, single = (make_minimizer(model, "ball", size)(codes, images, 4) for size in (6, 1))
    np.testing.assert_allclose(whole, single, atol=1e-4)


def test_codes_of_generated_images_are_recovered():
    _, codes = samples(20, dimension=4, seed=5)
    model = GloModel((8, 8, 1), codes, TrainSettings(channels=16, seed=3))
    images = Decoder(model).images(codes)
    starts = (codes + np.random.default_rng(0).normal(0, 0.05, codes.shape)).astype(np.float32)
    fitted = make_minimizer(model, "ball", 8)(starts, images, 20)
    assert np.abs(fitted - codes).mean() < np.abs(starts - codes).mean() / 5  # pixels are rounded to 256 levels
