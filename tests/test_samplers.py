"""Samplers against the moments that they are fitted to."""

import numpy as np
import pytest

from glo import samplers


def learned(n=4000, d=3):
    random = np.random.default_rng(0)
    mix = np.array([[0.2, 0.1, 0], [0, 0.05, 0], [0, 0.02, 0.1]])
    return (random.standard_normal((n, d)) @ mix + [0.1, -0.2, 0.3]).astype(np.float32)


def test_gaussian_has_the_mean_and_covariance_of_the_codes():
    codes = learned()
    fitted = samplers.Gaussian(codes)
    centred = codes - codes.mean(axis=0, dtype=float)
    np.testing.assert_allclose(fitted.mean, codes.mean(axis=0, dtype=float), rtol=1e-6)
    np.testing.assert_allclose(fitted.covariance, centred.T @ centred / len(codes), rtol=1e-5, atol=1e-9)
    drawn = fitted.draw(200_000, np.random.default_rng(1))
    np.testing.assert_allclose(drawn.mean(axis=0), fitted.mean, atol=2e-3)
    np.testing.assert_allclose(np.cov(drawn.T), fitted.covariance, atol=1e-3)


def test_diagonal_forgets_correlations_and_unit_everything():
    codes = learned()
    drawn = samplers.Diagonal(codes).draw(200_000, np.random.default_rng(1))
    np.testing.assert_allclose(np.cov(drawn.T), np.diag(codes.var(axis=0)), atol=1e-3)
    drawn = samplers.Unit(codes).draw(200_000, np.random.default_rng(1))
    np.testing.assert_allclose(np.cov(drawn.T), np.eye(3), atol=2e-2)
    np.testing.assert_allclose(drawn.mean(axis=0), 0, atol=1e-2)


def test_fewer_codes_than_dimensions():
    codes = np.random.default_rng(0).standard_normal((3, 8)).astype(np.float32)
    drawn = samplers.Gaussian(codes).draw(50, np.random.default_rng(0))
    span = np.linalg.svd(codes - codes.mean(axis=0), full_matrices=False)[2][:2]
    offset = drawn - codes.mean(axis=0)
    np.testing.assert_allclose(offset @ span.T @ span, offset, atol=1e-5)  # samples stay in the codes' plane


@pytest.mark.parametrize("name", samplers.SAMPLERS)
@pytest.mark.parametrize("projection", ["ball", "sphere", "none"])
def test_each_vector_is_projected_as_in_training(name, projection):
    codes = learned() * 5
    drawn = samplers.sample(name, codes, 100, 7, projection)
    raw = samplers.sample(name, codes, 100, 7, "none")
    norms = np.linalg.norm(raw, axis=1, keepdims=True)
    expected = {"ball": raw / np.maximum(1, norms), "sphere": raw / norms, "none": raw}[projection]
    np.testing.assert_allclose(drawn, expected, rtol=1e-5)
    assert drawn.dtype == np.float32
    np.testing.assert_array_equal(drawn, samplers.sample(name, codes, 100, 7, projection))
    assert not np.array_equal(drawn, samplers.sample(name, codes, 100, 8, projection))
