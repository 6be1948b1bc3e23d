"""Distances against closed forms, double loops, SciPy, and values computed by hand."""

import numpy as np
import pytest
from scipy.linalg import sqrtm
from scipy.stats import wasserstein_distance

from glo.metrics import distances


def gaussians(n=60, m=50, d=4):
    random = np.random.default_rng(0)
    return random.standard_normal((n, d)).astype(np.float32), (random.standard_normal((m, d)) * 2 + 1).astype(
        np.float32
    )


def test_frechet_of_independent_coordinates_by_hand():
    # The corners of a box have known means and variances, and uncorrelated coordinates.
    corners = np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1])).reshape(3, -1).T
    x, y = corners * [1, 2, 3], corners * [2, 2, 5] + [0, 1, -2]
    deviations = np.array([[1, 2, 3], [2, 2, 5]]) * np.sqrt(8 / 7)
    expected = 1 + 4 + np.square(deviations[0] - deviations[1]).sum()
    assert distances.frechet(x, y) == pytest.approx(expected, rel=1e-9)


def test_frechet_of_correlated_features_against_the_matrix_root():
    x, y = gaussians()
    y = y @ np.random.default_rng(1).standard_normal((4, 4))
    cx, cy = np.cov(x.astype(float), rowvar=False), np.cov(y.astype(float), rowvar=False)
    expected = np.square(x.mean(0, dtype=float) - y.mean(0)).sum() + np.trace(cx + cy - 2 * sqrtm(cx @ cy).real)
    assert distances.frechet(x, y) == pytest.approx(expected, rel=1e-6)
    assert distances.frechet(x, x) == pytest.approx(0, abs=1e-6)


def test_frechet_with_fewer_samples_than_features_is_finite():
    x, y = gaussians(5, 6, 12)
    assert 0 < distances.frechet(x, y) < np.inf


@pytest.mark.parametrize("block", [7, 2048])
def test_kid_against_a_double_loop(block, monkeypatch):
    monkeypatch.setattr(distances, "BLOCK", block)
    x, y = gaussians(20, 15)

    def mean(a, b, skip):
        pairs = [(i, j) for i in range(len(a)) for j in range(len(b)) if not (skip and i == j)]
        return np.mean([(a[i].astype(float) @ b[j] / 4 + 1) ** 3 for i, j in pairs])

    assert distances.squared_mmd(x, y) == pytest.approx(
        mean(x, x, True) + mean(y, y, True) - 2 * mean(x, y, False), rel=1e-9
    )


def test_kid_is_the_mean_and_spread_over_subsets(monkeypatch):
    random = np.random.default_rng(0)
    x, y, shifted = random.standard_normal((3, 400, 4)).astype(np.float32) + np.array([0, 0, 1])[:, None, None]
    for subset in (50, 1000):  # of few features, half
        monkeypatch.setattr(distances, "SUBSET", subset)
        same, same_spread = distances.kid(x, y)
        different, spread = distances.kid(x, shifted)
        assert abs(same) < same_spread
        assert different == pytest.approx(distances.squared_mmd(x, shifted), rel=0.15)
        assert 0 < spread < different
        assert distances.kid(x, y, seed=0) == (same, same_spread) != distances.kid(x, y, seed=1)
    assert np.isfinite(distances.kid(x[:4], y[:5])).all()


@pytest.mark.parametrize("block", [7, 2048])
def test_sliced_wasserstein_in_one_dimension_is_the_wasserstein_distance(block, monkeypatch):
    monkeypatch.setattr(distances, "BLOCK", block)
    x, y = gaussians(50, 50, 1)
    assert distances.sliced_wasserstein(x, y) == pytest.approx(wasserstein_distance(x[:, 0], y[:, 0]), rel=1e-6)


def test_sliced_wasserstein_of_a_shift():
    x, _ = gaussians(30, 30, 3)
    # Along a random unit vector in three dimensions, a shift by s has the length s |cos|, whose mean is s / 2.
    shifted = x + np.array([0, 4, 0])
    assert distances.sliced_wasserstein(x, shifted) == pytest.approx(2, rel=0.1)
    with pytest.raises(ValueError, match="equally many"):
        distances.sliced_wasserstein(x, x[1:])


def test_sliced_wasserstein_scales_pixels_to_0_to_1():
    black, white = np.zeros((5, 2, 3, 1), np.uint8), np.full((5, 2, 3, 1), 255, np.uint8)
    expected = distances.sliced_wasserstein(np.zeros((5, 6)), np.ones((5, 6)))
    assert distances.sliced_wasserstein(black, white) == pytest.approx(expected)


def test_chi_square_by_hand():
    x = np.array([0, 0, 0, 255], np.uint8).reshape(1, 2, 2, 1)
    y = np.array([0, 255, 255, 7], np.uint8).reshape(1, 2, 2, 1)
    # (p, q) are (3/4, 1/4) at level 0, (1/4, 1/2) at level 255, and (0, 1/4) at level 7.
    assert distances.chi_square(x, y) == pytest.approx(0.5 * (0.25 / 1 + 0.0625 / 0.75 + 0.0625 / 0.25))
    assert distances.chi_square(x, x) == 0
    two_channels = np.concatenate([x, x], axis=3), np.concatenate([x, y], axis=3)  # only the second channel differs
    assert distances.chi_square(*two_channels) == pytest.approx(distances.chi_square(x, y) / 2)
    assert distances.chi_square(x, np.full_like(x, 9)) == pytest.approx(1)
