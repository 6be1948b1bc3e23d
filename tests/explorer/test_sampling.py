"""Descriptions of samplers: computed in the page where they are small, a stock of drawn codes where they are not."""

import numpy as np
import pytest
import tensorflow as tf
from scipy.special import erf

from glo.explorer import sampling
from glo.samplers import SAMPLERS
from tests.explorer.test_network import unpack

LINEAR = [name for name in SAMPLERS if name not in ("imle", "flow", "leading")]


@pytest.fixture
def codes():
    random = np.random.default_rng(0)
    return (random.standard_normal((300, 4)) @ random.standard_normal((4, 4)) + 2).astype(np.float32)


@pytest.mark.parametrize("name", LINEAR)
def test_small_samplers_are_mixtures_of_normal_distributions(name, codes):
    sampler = SAMPLERS[name].fit(codes, 0)
    described = sampling.describe(sampler, "float32", 0, 1.0)
    assert described["kind"] == "mixture"
    ends, centers, factors = (unpack(described[key]) for key in ("ends", "centers", "factors"))
    noise = np.random.default_rng(1).standard_normal((50, sampler.noise_dimension)).astype(np.float32)
    expected = sampler.transform(tf.constant(noise), 0.7).numpy()
    uniform = 0.5 * (1 + erf(noise[:, 0] / np.sqrt(2)))
    chosen = np.searchsorted(ends, uniform, side="right") if len(ends) else np.zeros(50, int)
    factors = np.broadcast_to(factors, (len(centers), 4, 4))[chosen]
    drawn = centers[chosen] + 0.7 * np.einsum("ni,nij->nj", noise[:, -4:], factors)
    assert np.median(np.abs(drawn - expected).max(axis=1)) < 1e-5  # rounding may change a component


@pytest.mark.parametrize("name", LINEAR)
def test_a_stock_holds_centres_and_deviations(name, codes, monkeypatch):
    monkeypatch.setattr(sampling, "SMALL", 0)
    monkeypatch.setattr(sampling, "STOCK", 20_000)
    sampler = SAMPLERS[name].fit(codes, 0)
    described = sampling.describe(sampler, "float32", 0, 1.0)
    centers, deviations = unpack(described["centers"]), unpack(described["deviations"])
    for temperature in (0.3, 1.0):
        expected = sampler.draw(20_000, np.random.default_rng(1), temperature)
        drawn = centers + temperature * deviations
        np.testing.assert_allclose(drawn.mean(axis=0), expected.mean(axis=0), atol=0.1)
        np.testing.assert_allclose(np.cov(drawn.T), np.cov(expected.T), rtol=0.1, atol=0.1)


class Cubic:
    """A sampler that the page does not know, in which the noise does not act linearly."""

    SHAPES = {}  # noqa: RUF012

    def draw(self, n, random, temperature=1.0):
        return ((temperature * random.standard_normal((n, 4))) ** 3).astype(np.float32)


def test_a_stock_of_a_nonlinear_sampler_has_one_temperature():
    described = sampling.describe(Cubic(), "float32", 0, 0.5)
    assert described["temperature"] == 0.5
    assert "deviations" not in described
    assert unpack(described["centers"]).std() == pytest.approx(np.sqrt(15) / 8, rel=0.1)
