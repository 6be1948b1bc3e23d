"""The prior on codes against SciPy's normal distribution."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from glo.inference.prior import FLOOR, GaussianPrior
from glo.samplers.gaussian import Gaussian


def test_the_prior_is_the_negative_log_density_per_dimension_up_to_a_constant():
    random = np.random.default_rng(0)
    learned = (random.standard_normal((500, 4)) @ random.standard_normal((4, 4)) + 2).astype(np.float32)
    codes = random.standard_normal((6, 4)).astype(np.float32)
    covariance = np.cov(learned.T, bias=True)
    covariance += FLOOR * np.trace(covariance) / 4 * np.eye(4)
    expected = -multivariate_normal(learned.mean(0), covariance).logpdf(codes) / 4
    prior = GaussianPrior(Gaussian.fit(learned, 0), 0.5)
    penalties = np.asarray(prior(codes))
    np.testing.assert_allclose(penalties - penalties[0], 0.5 * (expected - expected[0]), rtol=1e-3)
    assert np.asarray(prior(learned.mean(axis=0)[None]))[0] == pytest.approx(0, abs=1e-6)


def test_a_typical_code_costs_half_the_weight():
    learned = np.random.default_rng(1).standard_normal((2000, 8)).astype(np.float32)
    assert np.asarray(GaussianPrior(Gaussian.fit(learned, 0), 3.0)(learned)).mean() == pytest.approx(1.5, rel=0.01)


@pytest.mark.parametrize("n", [1, 3])
def test_fewer_codes_than_dimensions_give_finite_values_that_are_lower_within_their_span(n):
    learned = np.eye(5, dtype=np.float32)[:n]
    prior = GaussianPrior(Gaussian.fit(learned, 0), 1.0)
    inside, outside = np.asarray(prior(np.stack([learned[0], learned[0] + np.eye(5, dtype=np.float32)[4]])))
    assert 0 <= inside < outside
    assert np.isfinite(outside)
