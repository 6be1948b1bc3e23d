"""Principal components and maps of codes."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

from glo.explorer import arrangement


@pytest.fixture
def codes():
    random = np.random.default_rng(0)
    return (random.standard_normal((80, 5)) @ random.standard_normal((5, 5)) + 3).astype(np.float32)


def test_principal_components(codes):
    mean, axes, deviations = arrangement.principal_components(codes)
    reference = PCA().fit(codes.astype(np.float64))
    np.testing.assert_allclose(mean, reference.mean_, rtol=1e-5)
    np.testing.assert_allclose(np.abs(axes @ reference.components_.T), np.eye(5), atol=1e-4)
    np.testing.assert_allclose(deviations, np.sqrt(reference.explained_variance_ * 79 / 80), rtol=1e-4)


def test_the_map_of_two_components_keeps_their_shape(codes):
    mean, axes, _ = arrangement.principal_components(codes)
    positions = arrangement.arrange(codes, "pca", (mean, axes), 0)
    assert np.abs(positions).max() == pytest.approx(1)
    flat = PCA(2).fit_transform(codes)
    distances = np.linalg.norm(positions[1:] - positions[0], axis=1)
    expected = np.linalg.norm(flat[1:] - flat[0], axis=1)
    np.testing.assert_allclose(distances / distances.max(), expected / expected.max(), rtol=1e-3)


def test_tsne_keeps_clusters_together():
    random = np.random.default_rng(0)
    centers = 5 * random.standard_normal((4, 6))
    codes = (np.repeat(centers, 15, axis=0) + 0.1 * random.standard_normal((60, 6))).astype(np.float32)
    mean, axes, _ = arrangement.principal_components(codes)
    positions = arrangement.arrange(codes, "tsne", (mean, axes), 0)
    assert np.abs(positions).max() == pytest.approx(1)
    nearest = [np.argsort(np.linalg.norm(positions - position, axis=1))[1:6] // 15 for position in positions]
    assert (np.stack(nearest) == np.arange(60)[:, None] // 15).mean() > 0.95


@pytest.mark.parametrize("shape", [(2, 3), (5, 1)])
def test_few_codes_or_one_dimension(shape):
    codes = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    mean, axes, _ = arrangement.principal_components(codes)
    for method in ("pca", "tsne"):
        positions = arrangement.arrange(codes, method, (mean, axes), 0)
        assert positions.shape == (shape[0], 2)
        assert np.isfinite(positions).all()
