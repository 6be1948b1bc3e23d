"""The fitter of a run: starts, conditions that are known or race, and losses of held-out images."""

from types import SimpleNamespace

import numpy as np
import pytest

from glo.data.conditions import Conditions
from glo.inference.decoder import Decoder
from glo.inference.fitter import Fitter
from glo.model.glo_model import GloModel
from glo.model.losses import mse
from glo.settings import TrainSettings
from tests.support import samples

N, CLASSES = 12, np.arange(12, dtype=np.int32) % 3
CONDITIONS = Conditions(("a", "b", "c"), (0, 1, 2), CLASSES)
SETTINGS = TrainSettings(channels=8, film=4, loss="mse", conditional="label", seed=1)


@pytest.fixture(scope="module")
def world():
    """A conditional model, its codes, the images that it generates under three classes, and an encoder near the codes.

    The encoder ignores the images: it is asked for those of all codes, in order.
    """
    _, codes = samples(N, dimension=4, seed=5)
    model = GloModel((8, 8, 1), codes, SETTINGS, CONDITIONS)
    embedding = model.generator.get_layer("embedding").kernel
    embedding.assign(2 * np.random.default_rng(0).standard_normal(embedding.shape))
    images = Decoder(model).images(codes, CONDITIONS)
    return model, codes, images, SimpleNamespace(codes=lambda images, conditions: (0.9 * codes).astype(np.float32))


def fitter(world, encoder=None, dataset=None):
    model, codes, _, _ = world
    return Fitter(model, Decoder(model, 8), SETTINGS, codes, CONDITIONS, lambda: dataset, lambda: encoder, lambda: mse)


@pytest.mark.parametrize("start", ["nearest", "encoder", "both"])
def test_images_of_unknown_condition_take_the_one_that_fits(world, start):
    _, codes, images, encoder = world
    fit = fitter(world, encoder).fit(images, steps=60, prior=0, start=start)
    np.testing.assert_array_equal(fit.conditions, CONDITIONS[:])
    assert np.abs(fit.codes - codes).mean() < 0.1
    fast = fitter(world, encoder).fit_fast(images)
    np.testing.assert_array_equal(fast.conditions, CONDITIONS[:])
    assert fast.losses.max() < 1e-3


def test_a_given_condition_is_kept(world):
    model, _, images, encoder = world
    others = np.roll(CONDITIONS[:], 1, axis=1)
    for fit in (
        fitter(world, encoder).fit(images, steps=40, prior=0, conditions=others),
        fitter(world, encoder).fit_fast(images, conditions=others),
    ):
        np.testing.assert_array_equal(fit.conditions, others)
        errors = np.mean(np.square(model.decode(fit.codes, others) - (images / 127.5 - 1)), axis=(1, 2, 3))
        np.testing.assert_allclose(fit.losses, errors, rtol=1e-3, atol=1e-6)


def test_losses_of_held_out_images_are_those_under_their_own_conditions(world):
    _, _, images, _ = world
    held_out = Conditions(CONDITIONS.names, CONDITIONS.numbers, np.roll(CLASSES, 1))
    dataset = SimpleNamespace(images=images, train_images=images, test_rows=np.arange(N), conditions=held_out)
    losses = fitter(world, dataset=dataset).held_out_losses
    own = fitter(world).fit(images, prior=0, steps=60).losses
    assert losses.shape == (N,)
    assert losses.min() > 10 * own.max()  # another class does not fit as well
    with pytest.raises(ValueError, match="needs held-out images"):
        _ = fitter(world).held_out_losses
