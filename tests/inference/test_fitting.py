"""Fitting codes of new images, and the codes that fitting starts from."""

import sys
from types import ModuleType

import numpy as np
import pytest

from glo.inference import fitting
from glo.inference.decoder import Decoder
from glo.inference.prior import GaussianPrior
from glo.model.glo_model import GloModel
from glo.model.losses import build as build_loss
from glo.samplers.gaussian import Gaussian
from glo.settings import TrainSettings
from tests.support import samples


@pytest.fixture(scope="module")
def world():
    """A generator, codes in the ball and the images generated from them, whose loss can be fitted to about zero."""
    _, codes = samples(20, dimension=4, seed=5)
    model = GloModel((8, 8, 1), codes, TrainSettings(channels=16, seed=3))
    return model, codes, Decoder(model).images(codes)


def fit(world, starts, steps=120, batch_size=8, rows=slice(None), loss="mse", **options):
    model, _, images = world
    return fitting.fit(model, build_loss(loss), "ball", images[rows], starts, steps, batch_size, **options)[:2]


def test_fitting_recovers_generated_images(world):
    model, codes, images = world
    starts = np.repeat(codes.mean(axis=0)[None, None], 20, axis=0)
    fitted, losses = fit(world, starts)
    before = np.mean(np.square(np.asarray(model.decode(starts[:, 0])) - (images / 127.5 - 1)), axis=(1, 2, 3))
    assert losses.mean() < before.mean() / 20
    assert np.linalg.norm(fitted, axis=1).max() <= 1 + 1e-6
    np.testing.assert_allclose(
        losses,
        np.mean(np.square(np.asarray(model.decode(fitted)) - (images / 127.5 - 1)), axis=(1, 2, 3)),
        rtol=1e-3,
        atol=1e-6,
    )


def test_the_best_start_is_kept(world):
    _, codes, _ = world
    far = np.repeat(-np.sign(codes)[:, None] * 0.5, 2, axis=1)
    starts = np.concatenate([far, codes[:, None]], axis=1).astype(np.float32)  # the true code is the last start
    fitted, losses = fit(world, starts, steps=2)
    np.testing.assert_allclose(fitted, codes, atol=0.05)
    assert losses.max() < 1e-3  # the pixels are rounded to 256 levels


@pytest.mark.parametrize("steps", [1, 2])
def test_few_updates_give_the_best_start_and_its_loss(world, steps):
    model, codes, images = world
    starts = np.stack([-codes, codes], axis=1).astype(np.float32)
    fitted, losses = fit(world, starts, steps=steps)
    errors = np.mean(np.square(np.asarray(model.decode(fitted)) - (images / 127.5 - 1)), axis=(1, 2, 3))
    np.testing.assert_allclose(losses, errors, rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(fitted, codes, atol=0.05)


def test_converged_images_are_not_updated_further(world, monkeypatch):
    _, codes, _ = world
    make_descent, updates = fitting.make_descent, []

    def count_updates(*arguments):
        descend = make_descent(*arguments)

        def run(state, images, conditions, done, count, steps):
            updates.append(len(images) * count)
            return descend(state, images, conditions, done, count, steps)

        return run

    monkeypatch.setattr(fitting, "make_descent", count_updates)
    starts = codes[:, None]
    _, losses = fit(world, starts, steps=200)
    assert 20 * 150 <= sum(updates) < 20 * 200
    updates.clear()
    monkeypatch.setattr(fitting, "TOLERANCE", -1)
    _, all_steps_losses = fit(world, starts, steps=200)
    assert sum(updates) == 20 * 200
    np.testing.assert_allclose(losses, all_steps_losses, rtol=0.01)


def test_fits_are_deterministic_and_independent_of_the_batch_size(world):
    starts = np.zeros((20, 1, 4), np.float32)
    fitted, losses = fit(world, starts, steps=30)
    repeated, _ = fit(world, starts, steps=30)
    np.testing.assert_array_equal(fitted, repeated)
    one_batch, one_batch_losses = fit(world, starts, steps=30, batch_size=20)
    np.testing.assert_allclose(losses, one_batch_losses, rtol=0.05, atol=1e-5)
    np.testing.assert_allclose(fitted, one_batch, atol=0.05)


def test_starts_are_the_mean_and_the_codes_of_the_nearest_images(world):
    _, codes, images = world
    starts = fitting.starts(images[:2], images, codes)
    assert starts.shape == (2, 1 + fitting.NEAREST, 4)
    np.testing.assert_allclose(starts[:, 0], np.broadcast_to(codes.mean(axis=0), (2, 4)), rtol=1e-5)
    np.testing.assert_array_equal(starts[:, 1], codes[:2])  # an image is its own nearest neighbor
    with_drawn = fitting.starts(images[:2], images, codes, codes[5:7] / 2)
    assert with_drawn.shape == (2, 3 + fitting.NEAREST, 4)
    for codes_of_image in with_drawn:
        np.testing.assert_array_equal(codes_of_image[1:3], codes[5:7] / 2)


def test_the_prior_is_added_to_the_loss_and_keeps_codes_near_the_learned_ones(world):
    model, codes, images = world
    starts = np.repeat(codes.mean(axis=0)[None, None], 20, axis=0)
    gaussian = Gaussian.fit(codes, 0)
    penalties = {}
    for weight in (0.01, 0.1, 10):
        prior = GaussianPrior(gaussian, weight)
        fitted, losses = fit(world, starts, 60, 20, prior=prior)
        errors = np.mean(np.square(np.asarray(model.decode(fitted)) - (images / 127.5 - 1)), axis=(1, 2, 3))
        np.testing.assert_allclose(losses, errors + np.asarray(prior(fitted)), rtol=1e-3, atol=1e-6)
        penalties[weight] = np.asarray(GaussianPrior(gaussian, 1.0)(fitted)).mean()
    assert penalties[0.01] > penalties[0.1] > penalties[10]
    assert penalties[10] < 1e-3


@pytest.mark.parametrize("loss", ["mse", "lap_l1"])
def test_pixels_in_a_hole_are_ignored(world, loss):
    model, codes, images = world
    hole = np.zeros((8, 8, 1), bool)
    hole[3:6, 2:5] = True
    damaged = np.where(hole, 255 - images, images)
    starts = codes[:, None] * 0.5
    fitted, losses = fit(world, starts, 40, 20, loss=loss, hole=hole)
    fitted_to_damaged, _ = fit((model, codes, damaged), starts, 40, 20, loss=loss, hole=hole)
    np.testing.assert_array_equal(fitted, fitted_to_damaged)
    without_hole, _ = fit((model, codes, damaged), starts, 40, 20, loss=loss)
    assert not np.allclose(without_hole, fitted, atol=1e-3)
    if loss == "mse":
        difference = np.asarray(model.decode(fitted)) - (images / 127.5 - 1)
        expected = np.square(difference)[:, ~hole[..., 0]].sum(axis=(1, 2)) / 64
        np.testing.assert_allclose(losses, expected, rtol=1e-3, atol=1e-7)


def test_starts_are_combined_with_their_conditions_or_the_candidates():
    starts = np.arange(2 * 4 * 3, dtype=np.float32).reshape(2, 4, 3)
    own, candidates = np.array([[1, 0], [0, 1]], np.float32), np.array([[0, 1], [1, 0], [1, 1]], np.float32)
    combined, under = fitting.under_each(starts, candidates, own)
    np.testing.assert_array_equal(combined, starts)
    np.testing.assert_array_equal(under, [[own[0]] * 4, [own[1]] * 4])
    combined, under = fitting.under_each(starts, candidates)
    np.testing.assert_array_equal(combined[1], starts[1, [0, 1, 0, 1, 0, 1]])
    np.testing.assert_array_equal(under[1], candidates[[0, 0, 1, 1, 2, 2]])
    combined, under = fitting.under_each(starts, candidates[:1])  # one candidate leaves all starts
    np.testing.assert_array_equal(combined, starts)
    assert under.shape == (2, 4, 2)


def test_starts_ignore_pixels_in_the_hole(world):
    _, codes, images = world
    hole = np.zeros((8, 8, 1), bool)
    hole[:4] = True
    queries = np.where(hole, images[[7, 8]], images[[0, 1]])
    starts = fitting.starts(queries, images, codes, hole=hole)
    distances = np.square(queries[:, None, 4:].astype(float) - images[None, :, 4:]).sum(axis=(2, 3, 4))
    np.testing.assert_array_equal(starts[:, 1:], codes[np.argsort(distances, axis=1)[:, : fitting.NEAREST]])
    np.testing.assert_array_equal(starts[:, 1], codes[:2])


@pytest.mark.parametrize("kernel", [False, True])
def test_a_notebook_shows_the_progress_bar(world, kernel, monkeypatch, capsys):
    if kernel:
        monkeypatch.setitem(sys.modules, "ipykernel", ModuleType("ipykernel"))
    fit(world, world[1][:, None], steps=1)
    assert ("fitting" in capsys.readouterr().err) == kernel
