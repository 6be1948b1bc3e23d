"""Samplers against known distributions and independent formulas."""

import io
import sys

import numpy as np
import pytest
from scipy.spatial.distance import pdist
from scipy.stats import multivariate_normal, norm
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KernelDensity

from glo.runtime.errors import UserError
from glo.samplers import SAMPLERS, flow, gmm, imle, leading, network
from glo.samplers.held_out import energy_distance, split
from glo.settings import SAMPLERS as NAMES

WEIGHTS = np.array([0.5, 0.3, 0.2])
MEANS = np.array([[0.5, 0.1], [-0.4, 0.4], [0.0, -0.6]])
COVARIANCES = np.array([[[0.02, 0.01], [0.01, 0.02]], [[0.01, 0], [0, 0.03]], [[0.03, -0.01], [-0.01, 0.01]]])


def learned(n=4000):
    """Correlated normal codes float32 [n, 3], away from 0."""
    mix = np.array([[0.2, 0.1, 0], [0, 0.05, 0], [0, 0.02, 0.1]])
    return (np.random.default_rng(0).standard_normal((n, 3)) @ mix + [0.1, -0.2, 0.3]).astype(np.float32)


def clustered(n, seed=0):
    """Codes float32 [n, 2] of the mixture above."""
    random = np.random.default_rng(seed)
    chosen = random.choice(3, n, p=WEIGHTS)
    roots = np.linalg.cholesky(COVARIANCES)
    offsets = np.einsum("nij,nj->ni", roots[chosen], random.standard_normal((n, 2)))
    return (MEANS[chosen] + offsets).astype(np.float32)


@pytest.fixture
def short(monkeypatch):
    """Networks that train in a second."""
    for module, width in ((flow, 48), (imle, 48), (leading, 48)):
        monkeypatch.setattr(module, "STEPS", 400)
        monkeypatch.setattr(module, "WIDTH", width)
    for size in ("POOL", "MATCHED"):
        monkeypatch.setattr(imle, size, 512)


def test_the_settings_list_every_sampler():
    assert set(NAMES) == set(SAMPLERS)


def test_gaussian_has_the_mean_and_covariance_of_the_codes():
    codes = learned()
    fitted = SAMPLERS["gaussian"].fit(codes, 0)
    centred = codes - codes.mean(axis=0, dtype=float)
    np.testing.assert_allclose(fitted.mean, codes.mean(axis=0, dtype=float), rtol=1e-6)
    np.testing.assert_allclose(fitted.covariance, centred.T @ centred / len(codes), rtol=1e-5, atol=1e-9)
    drawn = fitted.draw(200_000, np.random.default_rng(1))
    np.testing.assert_allclose(drawn.mean(axis=0), fitted.mean, atol=2e-3)
    np.testing.assert_allclose(np.cov(drawn.T), fitted.covariance, atol=1e-3)
    expected = multivariate_normal(fitted.mean, fitted.covariance).logpdf(codes[:50]).mean()
    assert fitted.log_likelihood(codes[:50]) == pytest.approx(expected, rel=1e-9)


def test_diagonal_ignores_correlations_and_unit_ignores_the_codes():
    codes = learned()
    diagonal, unit = SAMPLERS["diagonal"].fit(codes, 0), SAMPLERS["unit"].fit(codes, 0)
    drawn = diagonal.draw(200_000, np.random.default_rng(1))
    np.testing.assert_allclose(np.cov(drawn.T), np.diag(codes.var(axis=0)), atol=1e-3)
    expected = norm(codes.mean(axis=0), codes.std(axis=0)).logpdf(codes[:50]).sum(axis=1).mean()
    assert diagonal.log_likelihood(codes[:50]) == pytest.approx(expected, rel=1e-4)
    drawn = unit.draw(200_000, np.random.default_rng(1))
    np.testing.assert_allclose(np.cov(drawn.T), np.eye(3), atol=2e-2)
    np.testing.assert_allclose(drawn.mean(axis=0), 0, atol=1e-2)
    assert unit.log_likelihood(codes[:50]) == pytest.approx(norm.logpdf(codes[:50]).sum(axis=1).mean(), rel=1e-5)


def test_gmm_density_against_scipy_and_fit_against_scikit_learn():
    codes, new = clustered(3000), clustered(1000, seed=1)
    fitted = SAMPLERS["gmm"].fit(codes, 0, components=3)
    densities = [
        weight * multivariate_normal(mean @ fitted.root + fitted.mean, fitted.root @ cov @ fitted.root).pdf(new)
        for weight, mean, cov in zip(fitted.weights, fitted.means, fitted.covariances, strict=True)
    ]
    expected = np.log(np.sum(densities, axis=0)).mean()
    assert fitted.log_likelihood(new) == pytest.approx(expected, abs=1e-4)
    peer = GaussianMixture(3, random_state=0).fit(codes)
    assert fitted.log_likelihood(new) == pytest.approx(peer.score(new), abs=0.01)


def test_gmm_recovers_a_known_mixture_and_its_number_of_components():
    fitted = SAMPLERS["gmm"].fit(clustered(6000), 0, components=3)
    order = np.argsort(-fitted.weights)
    np.testing.assert_allclose(fitted.weights[order], WEIGHTS, atol=0.02)
    np.testing.assert_allclose((fitted.means @ fitted.root + fitted.mean)[order], MEANS, atol=0.02)
    covariances = fitted.root @ fitted.covariances @ fitted.root
    np.testing.assert_allclose(covariances[order], COVARIANCES, atol=2e-3)
    drawn = fitted.draw(100_000, np.random.default_rng(1))
    between = np.cov(MEANS.T, aweights=WEIGHTS, bias=True)
    np.testing.assert_allclose(np.cov(drawn.T), between + np.einsum("k,kij->ij", WEIGHTS, COVARIANCES), atol=0.01)
    assert len(SAMPLERS["gmm"].fit(clustered(2000), 0).weights) == 3
    assert len(SAMPLERS["gmm"].fit(learned(), 0).weights) == 1
    truth = sum(w * multivariate_normal(m, c).pdf(drawn) for w, m, c in zip(WEIGHTS, MEANS, COVARIANCES, strict=True))
    assert fitted.log_likelihood(drawn) == pytest.approx(np.log(truth).mean(), abs=0.02)


def test_gmm_with_only_the_nearest_components_is_as_good_as_with_all(monkeypatch):
    """With 40 overlapping clusters, the likelihood of held-out codes is that of EM over all components."""
    random = np.random.default_rng(0)
    centres, clusters = random.standard_normal((40, 6)), random.integers(40, size=9000)
    codes = (centres[clusters] + 0.6 * random.standard_normal((9000, 6))).astype(np.float32)
    near = SAMPLERS["gmm"].fit(codes[:8000], 0, components=40).log_likelihood(codes[8000:])
    monkeypatch.setattr(gmm, "NEAR", 40)
    every = SAMPLERS["gmm"].fit(codes[:8000], 0, components=40)
    assert near == pytest.approx(every.log_likelihood(codes[8000:]), abs=0.02)
    monkeypatch.setattr(gmm, "NEAR", 1)  # k-means, which does not maximise the likelihood
    means = SAMPLERS["gmm"].fit(codes[:8000], 0, components=40)
    assert means.log_likelihood(codes[:8000]) < every.log_likelihood(codes[:8000]) - 0.03
    peer = GaussianMixture(40, random_state=0, max_iter=11).fit(codes[:8000])
    assert near > peer.score(codes[8000:]) - 0.05


def test_kde_density_against_scikit_learn_and_draws_around_codes():
    codes, new = clustered(500), clustered(200, seed=1)
    fitted = SAMPLERS["kde"].fit(codes, 0)
    white = (codes - fitted.mean) @ np.linalg.inv(fitted.root)
    peer = KernelDensity(bandwidth=fitted.bandwidth[0]).fit(white)
    white_new = (new - fitted.mean) @ np.linalg.inv(fitted.root)
    expected = peer.score_samples(white_new).mean() - np.log(np.linalg.det(fitted.root))
    assert fitted.log_likelihood(new) == pytest.approx(expected, abs=1e-4)
    # The likelihood of new codes is close to that of the best bandwidth.
    best = max(
        KernelDensity(bandwidth=width).fit(white).score_samples(white_new).mean() for width in np.geomspace(0.05, 1, 12)
    )
    assert peer.score_samples(white_new).mean() == pytest.approx(best, abs=0.1)
    narrow = type(fitted)(fitted.mean, fitted.root, fitted.white, np.array([1e-4]))
    drawn = narrow.draw(300, np.random.default_rng(0))
    gaps = np.linalg.norm(drawn[:, None] - codes, axis=2).min(axis=1)
    assert gaps.max() < 1e-3


def curved(n, seed=0, noise=0.02):
    """Codes float32 [n, 4]: two coordinates of clusters, and two smaller ones that are functions of them with noise."""
    leading_codes = clustered(n, seed).astype(np.float64)
    others = 0.1 * np.stack([leading_codes[:, 0] ** 2, leading_codes[:, 0] * leading_codes[:, 1]], axis=1)
    others += noise * np.random.default_rng(seed + 100).standard_normal((n, 2))
    return np.concatenate([leading_codes, others], axis=1).astype(np.float32)


def test_leading_predicts_the_other_directions_from_a_mixture_of_the_leading_ones(monkeypatch):
    codes, new = curved(3000), curved(1000, seed=1)
    monkeypatch.setattr(leading, "WIDTH", 48)
    fitted = SAMPLERS["leading"].fit(codes, 0, components=3)
    principal = (codes - codes.mean(axis=0, dtype=float)) @ fitted.axes.T
    np.testing.assert_allclose(fitted.axes @ fitted.axes.T, np.eye(4), atol=1e-9)
    assert (np.diff(principal.var(axis=0)) < 0).all()
    mixture = SAMPLERS["gmm"].fit(principal[:, :2].astype(np.float32), 0, components=3)
    np.testing.assert_array_equal(fitted.covariances, mixture.covariances)
    # What is drawn lies on the curved surface of the noise-free codes, in whose axes the coordinates are exact.
    drawn = fitted.draw(5000, np.random.default_rng(2)).astype(np.float64)
    surface = 0.1 * np.stack([drawn[:, 0] ** 2, drawn[:, 0] * drawn[:, 1]], axis=1)
    assert np.sqrt(np.square(drawn[:, 2:] - surface).mean()) < 0.005
    # Noise along directions that the mixture does not describe costs likelihood as in the true model.
    truth = sum(
        w * multivariate_normal(m, c).pdf(new[:, :2]) for w, m, c in zip(WEIGHTS, MEANS, COVARIANCES, strict=True)
    )
    expected = (
        np.log(truth).mean()
        + norm.logpdf(0.02 * np.random.default_rng(101).standard_normal((1000, 2)), scale=0.02).sum(axis=1).mean()
    )
    assert fitted.log_likelihood(new) == pytest.approx(expected, abs=0.1)


def test_leading_has_a_component_for_every_400_codes_and_needs_two_dimensions(short):
    assert len(SAMPLERS["leading"].fit(learned(1000), 0).weights) == 2
    with pytest.raises(UserError, match="--sampler leading needs codes of at least 2 dimensions: use --sampler gmm"):
        SAMPLERS["leading"].fit(np.zeros((10, 1), np.float32), 0)


@pytest.mark.parametrize(("name", "factor"), [("imle", 1.3), ("flow", 4), ("gmm", 10), ("kde", 10)])
def test_the_energy_distance_to_clusters_is_lower_than_that_of_a_gaussian(name, factor, short):
    codes, new = clustered(3000), clustered(2000, seed=1)
    gaussian = energy_distance(SAMPLERS["gaussian"].fit(codes, 0).draw(2000, np.random.default_rng(2)), new)
    drawn = SAMPLERS[name].fit(codes, 0).draw(2000, np.random.default_rng(2))
    assert energy_distance(drawn, new) < gaussian / factor
    np.testing.assert_allclose(drawn.mean(axis=0), new.mean(axis=0), atol=0.06)
    np.testing.assert_allclose(drawn.std(axis=0), new.std(axis=0), rtol=0.1)


@pytest.mark.parametrize("name", SAMPLERS)
def test_fits_and_draws_repeat_and_follow_the_seed(name, short, monkeypatch):
    monkeypatch.setattr(flow, "STEPS", 20)
    monkeypatch.setattr(imle, "STEPS", 20)
    monkeypatch.setattr(leading, "STEPS", 20)
    codes = learned(600)
    one, two = SAMPLERS[name].fit(codes, 3), SAMPLERS[name].fit(codes, 3)
    for field in one.SHAPES:
        np.testing.assert_array_equal(getattr(one, field), getattr(two, field))
    drawn = one.draw(50, np.random.default_rng(7))
    assert drawn.dtype == np.float32
    assert drawn.shape == (50, 3)
    np.testing.assert_array_equal(drawn, two.draw(50, np.random.default_rng(7)))
    assert not np.array_equal(drawn, one.draw(50, np.random.default_rng(8)))


@pytest.mark.parametrize("name", ["imle", "flow"])
@pytest.mark.parametrize(("n", "expected"), [(1, 4), (2, 8), (999, 3996), (1001, 4000)])
def test_few_codes_take_few_training_steps(name, n, expected, monkeypatch):
    steps_of_fits = []

    def train(start, loss, batches, steps, name):
        steps_of_fits.append(steps)
        return start

    monkeypatch.setattr(network, "train", train)
    monkeypatch.setattr({"imle": imle, "flow": flow}[name], "WIDTH", 8)
    SAMPLERS[name].fit(learned(n), 0)
    assert steps_of_fits == [expected]


@pytest.mark.parametrize("name", ["imle", "flow", "gmm", "leading", "kde"])
def test_fits_show_their_progress_on_a_terminal(name, short, monkeypatch):
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", terminal)
    SAMPLERS[name].fit(learned(20), 0)
    assert f"fitting {name}" in terminal.getvalue()
    assert "/s" in terminal.getvalue()  # the rate


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("n", [1, 3])
def test_fewer_codes_than_dimensions(name, n, short, monkeypatch):
    monkeypatch.setattr(flow, "STEPS", 5)
    monkeypatch.setattr(imle, "STEPS", 5)
    monkeypatch.setattr(leading, "STEPS", 5)
    codes = np.random.default_rng(0).standard_normal((n, 8)).astype(np.float32)
    drawn = SAMPLERS[name].fit(codes, 0).draw(20, np.random.default_rng(0))
    assert np.isfinite(drawn).all()
    if name == "gaussian" and n == 3:  # samples lie in the plane of the codes
        span = np.linalg.svd(codes - codes.mean(axis=0), full_matrices=False)[2][:2]
        offset = drawn - codes.mean(axis=0)
        np.testing.assert_allclose(offset @ span.T @ span, offset, atol=1e-5)


def test_energy_distance_by_its_formula():
    a, b = clustered(40), clustered(30, seed=1) + 1
    between = np.mean([np.linalg.norm(x - y) for x in a.astype(float) for y in b.astype(float)])
    expected = 2 * between - pdist(a).mean() - pdist(b).mean()
    assert energy_distance(a, b) == pytest.approx(expected, rel=1e-6)
    same = [energy_distance(clustered(300, seed=i), clustered(300, seed=100 + i)) for i in range(30)]
    assert abs(np.mean(same)) < 0.002
    assert np.isnan(energy_distance(a, b[:1]))


def test_the_split_holds_out_a_seeded_tenth():
    train, held_out = split(1000, 5)
    np.testing.assert_array_equal(np.sort(np.concatenate([train, held_out])), np.arange(1000))
    assert len(held_out) == 100
    assert not np.array_equal(held_out, split(1000, 6)[1])
    assert [len(rows) for rows in split(1, 0)] == [1, 0]
    assert [len(rows) for rows in split(2, 0)] == [1, 1]


@pytest.mark.parametrize("name", [name for name in SAMPLERS if name not in ("imle", "flow", "leading", "unit")])
def test_temperature_scales_the_noise(name):
    codes = clustered(300)
    fitted = SAMPLERS[name].fit(codes, 0)
    without, half, full = (fitted.draw(40, np.random.default_rng(3), t).astype(np.float64) for t in (1e-6, 0.5, 1.0))
    np.testing.assert_allclose(half - without, 0.5 * (full - without), atol=1e-4)
    assert np.abs(full - without).max() > 0.01


@pytest.mark.parametrize("name", ["imle", "flow", "leading", "unit"])
def test_samples_vary_less_at_a_lower_temperature(name, short, monkeypatch):
    for module in (flow, imle, leading):
        monkeypatch.setattr(module, "STEPS", 100)
    fitted = SAMPLERS[name].fit(clustered(300), 0)
    cold, warm = (fitted.draw(400, np.random.default_rng(3), t).var(axis=0).sum() for t in (0.3, 1.0))
    assert cold < 0.8 * warm
