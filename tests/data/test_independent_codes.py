"""Codes whose distribution is the same in every group."""

import numpy as np
import pytest

from glo.data.independent_codes import independent, whiten


def test_whitened_codes_have_the_same_mean_and_covariance_in_every_group():
    random = np.random.default_rng(0)
    groups = np.arange(6000) % 3
    codes = random.standard_normal((6000, 4)) * [1, 0.7, 0.5, 0.3]
    codes[groups == 1] = codes[groups == 1] @ random.standard_normal((4, 4)) + 1
    whitened = whiten(codes.astype(np.float32), groups)
    within = sum(np.cov(codes[groups == group].T) for group in range(3)) / 3
    for group in range(3):
        new = whitened[groups == group]
        np.testing.assert_allclose(new.mean(axis=0), 0, atol=1e-5)
        np.testing.assert_allclose(np.cov(new.T), within, rtol=0.01, atol=0.01)
        # Nothing of the codes is lost, and the map is symmetric: an optimal transport.
        inputs = codes[groups == group] - codes[groups == group].mean(axis=0)
        matrix = np.linalg.lstsq(inputs, new, rcond=None)[0]
        np.testing.assert_allclose(inputs @ matrix, new, atol=1e-4)
        np.testing.assert_allclose(matrix, matrix.T, atol=1e-4)
        assert np.linalg.eigvalsh(matrix).min() > 0


def test_independent_codes_have_the_same_distribution_in_every_group():
    """Groups of equal mean and covariance: a normal distribution, one with a uniform coordinate, and a sphere."""
    random = np.random.default_rng(0)
    groups = np.arange(6000) % 3
    codes = random.standard_normal((6000, 4))
    codes[groups == 1, 0] = random.uniform(-np.sqrt(3), np.sqrt(3), 2000)
    codes[groups == 2] *= 2 / np.linalg.norm(codes[groups == 2], axis=1, keepdims=True)
    codes = (codes * [1, 0.7, 0.5, 0.3]).astype(np.float32)
    new = independent(codes, groups, seed=1)
    np.testing.assert_allclose(np.cov(new.T), np.cov(codes.T), atol=0.03)
    for group in range(3):
        scaled = new[groups == group] / new.std(axis=0)
        np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=0.03)
        np.testing.assert_allclose(np.mean(scaled**4, axis=0), 3, atol=0.3)  # 1.8 if it is uniform
        squares = np.square(scaled).sum(axis=1)
        assert squares.std() == pytest.approx(np.sqrt(8), rel=0.1)  # chi-squared with 4 degrees of freedom; a sphere 0
        correlations = [np.corrcoef(codes[groups == group, i], new[groups == group, i])[0, 1] for i in range(4)]
        assert min(correlations) > 0.8
    np.testing.assert_array_equal(new, independent(codes, groups, seed=1))


def test_groups_of_few_images_and_constant_coordinates_have_finite_codes():
    codes = np.random.default_rng(0).standard_normal((9, 5)).astype(np.float32)
    codes[:, 4] = 2
    whitened = whiten(codes, np.array([0, 0, 0, 0, 1, 1, 1, 1, 2]))
    assert np.isfinite(whitened).all()
    assert np.abs(whitened[8]).max() == 0  # the mean of its group
    assert np.isfinite(independent(codes, np.array([0, 0, 0, 0, 1, 1, 1, 1, 2]), seed=0)).all()
    assert 0.5 < np.linalg.norm(whitened[:8, :4]) / np.linalg.norm(codes[:8, :4]) < 2
