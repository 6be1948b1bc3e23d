"""Initial codes, compared with formulas written in plain NumPy."""

import tracemalloc

import numpy as np
import pytest

from glo.building import initial_codes
from glo.building.initial_codes import PCACodes, random_codes
from glo.data.projection import project
from glo.runtime import memory
from glo.runtime.errors import UserError


def blobs(n, size=24, rank=6, seed=0):
    """Images uint8 [n, 4, size / 4, 1] that vary along a few directions with well separated variances."""
    random = np.random.default_rng(seed)
    strengths = 40 * 0.6 ** np.arange(rank)
    pixels = 128 + (random.normal(size=(n, rank)) * strengths) @ np.linalg.qr(random.normal(size=(size, rank)))[0].T
    noisy = pixels * 1.5 - 64 + random.normal(size=pixels.shape)
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8).reshape(n, 4, size // 4, 1)


def svd_codes(train, images, dimension):
    """Unscaled PCA codes: float64 [n, d], up to the sign of each component."""
    flat, fitted = (array.reshape(len(array), -1) / 255.0 for array in (images, train))
    mean = fitted.mean(axis=0)
    _, _, components = np.linalg.svd(fitted - mean, full_matrices=False)
    return (flat - mean) @ components[:dimension].T


def same_signs(codes, reference):
    return codes * np.sign((codes * reference).sum(axis=0))


def test_pca_is_the_svd_of_the_training_images():
    images = blobs(300)
    train, dimension = images[:200], 5
    pca = PCACodes.fit(train, dimension, seed=0)
    expected = svd_codes(train, images, dimension)
    scale = np.percentile(np.sqrt((expected[:200] ** 2).sum(axis=1)), 95)
    assert pca.scale == pytest.approx(scale, rel=1e-4)
    codes = pca(images)
    assert (codes.dtype, codes.shape) == (np.float32, (300, 5))
    np.testing.assert_allclose(same_signs(codes, expected), expected / scale, atol=1e-4)
    centred = train.reshape(200, -1) / 255.0
    variances = np.linalg.svd(centred - centred.mean(axis=0), compute_uv=False) ** 2
    assert pca.explained_variance_ratio == pytest.approx(variances[:5].sum() / variances.sum(), rel=1e-4)


def test_about_one_in_twenty_training_codes_starts_outside_the_ball():
    images = blobs(400)
    norms = np.linalg.norm(PCACodes.fit(images, 6, seed=0)(images), axis=1)
    assert (norms > 1).mean() == pytest.approx(0.05, abs=0.01)
    assert norms.std() > 0.1  # codes keep their relative lengths


def test_all_components_reconstruct_the_images():
    images = blobs(60)
    pca = PCACodes.fit(images, 24, seed=0)
    reconstructions = pca(images) * pca.scale @ pca.components + pca.mean
    np.testing.assert_allclose(reconstructions * 255, images.reshape(60, -1), atol=0.01)


def test_randomized_pca_of_wide_images_is_close_and_seeded():
    images = blobs(300, size=600)
    expected = svd_codes(images, images, 4)
    first, again = (PCACodes.fit(images, 4, seed=3) for _ in range(2))
    np.testing.assert_array_equal(first.components, again.components)
    codes = first(images) * first.scale
    np.testing.assert_allclose(same_signs(codes, expected), expected, atol=0.02 * np.abs(expected).max())


def test_the_scale_is_computed_from_all_parts(monkeypatch):
    images = blobs(100)
    whole = PCACodes.fit(images, 3, seed=0).scale
    monkeypatch.setattr(initial_codes, "PART_BYTES", 7 * 4 * 24)  # seven images in each part, two in the last
    assert PCACodes.fit(images, 3, seed=0).scale == pytest.approx(whole, rel=1e-5)


def test_at_most_as_many_components_as_the_data_allow():
    images = blobs(10)
    assert np.isfinite(PCACodes.fit(images, 9, seed=0)(images)).all()
    with pytest.raises(UserError, match=r"--dimension 10 is more .* 10 training images of 24 values .* --dimension 9;"):
        PCACodes.fit(images, 10, seed=0)
    with pytest.raises(UserError, match=r"at most --dimension 24;"):
        PCACodes.fit(blobs(30), 25, seed=0)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [0, 77])
def test_identical_images(value):
    images = np.full((10, 4, 4, 1), value, np.uint8)
    pca = PCACodes.fit(images, 3, seed=0)
    np.testing.assert_allclose(pca(images), 0, atol=1e-5)
    assert pca.scale == 1.0
    assert 0 <= pca.explained_variance_ratio <= 1


def test_rows_that_pca_is_fitted_on():
    rows = np.arange(5, 1005, 2)
    np.testing.assert_array_equal(initial_codes.fit_rows(rows, 500, seed=0), rows)
    chosen = initial_codes.fit_rows(rows, 40, seed=0)
    assert len(chosen) == 40
    assert set(chosen) <= set(rows)
    assert (np.diff(chosen) > 0).all()
    np.testing.assert_array_equal(chosen, initial_codes.fit_rows(rows, 40, seed=0))
    assert set(chosen) != set(initial_codes.fit_rows(rows, 40, seed=1))


def test_projections_of_known_codes():
    codes = np.array([[3, 4], [0.3, 0.4], [0, 0], [0, -1]], np.float32)
    ball = [[0.6, 0.8], [0.3, 0.4], [0, 0], [0, -1]]
    sphere = [[0.6, 0.8], [0.6, 0.8], [0, 0], [0, -1]]
    np.testing.assert_allclose(project(codes, "ball"), ball, rtol=1e-6)
    np.testing.assert_allclose(project(codes, "sphere"), sphere, rtol=1e-6)
    np.testing.assert_array_equal(project(codes, "none"), codes)
    assert {project(codes, name).dtype for name in ("ball", "sphere", "none")} == {np.dtype(np.float32)}


def all_random_codes(distribution, n, dimension, seed):
    return np.concatenate(list(random_codes(distribution, n, dimension, seed)))


@pytest.mark.parametrize(("distribution", "variance"), [("Gaussian", 1.0), ("Uniform", 1 / 3)])
def test_random_codes(distribution, variance, monkeypatch):
    codes = all_random_codes(distribution, 20_000, 5, seed=0)
    assert (codes.shape, codes.dtype) == ((20_000, 5), np.float32)
    np.testing.assert_allclose(codes.mean(axis=0), 0, atol=0.04)  # five standard errors
    np.testing.assert_allclose(np.cov(codes.T), variance * np.eye(5), atol=0.05)
    if distribution == "Uniform":
        assert np.abs(codes).max() <= 1
        counts, _ = np.histogram(codes, bins=10, range=(-1, 1))
        np.testing.assert_allclose(counts, 10_000, rtol=0.05)
    else:
        assert np.abs(codes).max() > 3.5
        assert (np.abs(codes) < 1).mean() == pytest.approx(0.6827, abs=0.01)
    np.testing.assert_array_equal(codes, all_random_codes(distribution, 20_000, 5, seed=0))
    assert not np.isin(codes, all_random_codes(distribution, 20_000, 5, seed=1)).all()
    monkeypatch.setattr(initial_codes, "PART_BYTES", 4 * 5 * 30)
    assert (
        len(np.unique(all_random_codes(distribution, 100, 5, seed=0), axis=0)) == 100
    )  # no part repeats the codes of another


def test_few_images_of_many_pixels_span_few_directions(monkeypatch):
    """Six pictures of 1024 x 1024 took four minutes with as many directions as pixels allow."""
    widths = []
    qr = np.linalg.qr
    monkeypatch.setattr(np.linalg, "qr", lambda matrix: widths.append(matrix.shape[1]) or qr(matrix))
    images = np.random.default_rng(0).integers(0, 256, (6, 64, 64, 3), np.uint8)
    codes = PCACodes.fit(images, 5, seed=0)
    assert max(widths) <= 6
    np.testing.assert_allclose(
        codes(images) * codes.scale @ codes.components + codes.mean, images.reshape(6, -1) / 255, atol=1e-3
    )


def test_directions_that_do_not_fit_into_memory_are_refused(monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: 1 << 29)
    images = np.broadcast_to(np.uint8(0), (300, 1 << 10, 1 << 10, 1))
    with pytest.raises(UserError, match=r"PCA of 300 images of 1048576 values to 200 .* GB of memory.*lower --dim"):
        PCACodes.fit(images, 200, seed=0)


def test_codes_of_a_pca_that_do_not_fit_into_memory_are_refused(monkeypatch):
    """Many images of many dimensions: the directions are small, the images in their basis are not."""
    monkeypatch.setattr(memory, "available", lambda: 3 << 30)
    images = np.broadcast_to(np.uint8(0), (60_000, 32, 32, 3))
    with pytest.raises(UserError, match=r"PCA of 60000 images .* needs .* GB of memory.*lower --dimension"):
        PCACodes.fit(images, 3000, seed=0)


def test_the_memory_that_a_pca_is_said_to_need_is_what_it_takes(monkeypatch):
    monkeypatch.setattr(initial_codes, "PART_BYTES", 1 << 16)
    needed = []
    monkeypatch.setattr(memory, "require", lambda size, *_: needed.append(size))
    for n, size, dimension in [(4000, 100, 80), (300, 4000, 200)]:
        images = np.random.default_rng(0).integers(0, 256, (n, 1, size, 1), np.uint8)
        tracemalloc.start()
        PCACodes.fit(images, dimension, seed=0)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 1.1 * needed[-1] < 3 * peak


@pytest.mark.parametrize(("n", "words"), [(0, "there are none"), (1, "there is only 1")])
@pytest.mark.parametrize("dimension", [0, 1, 128])
def test_fewer_than_two_training_images(n, words, dimension):
    with pytest.raises(UserError, match=f"PCA needs at least 2 training images, and {words}: .*Gaussian") as caught:
        PCACodes.fit(np.zeros((n, 8, 8, 1), np.uint8), dimension, seed=0)
    assert "--dimension" not in str(caught.value)
