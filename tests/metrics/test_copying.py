"""Measures of copying on distributions that are known: new samples, copies with noise, and samplers that copy."""

import numpy as np
import pytest
from scipy.stats import mannwhitneyu, norm

from glo.metrics import copying
from glo.metrics.copying import Copying, CopyingTest, Share, TrainingSet
from glo.samplers.gaussian import Gaussian
from glo.samplers.kde import Kernel

D = 16


def draw(n, seed):
    """Features on a curved surface of 6 dimensions, float32 [n, D]."""
    hidden = np.random.default_rng(seed).standard_normal((n, 6))
    return np.maximum(hidden @ np.random.default_rng(0).standard_normal((6, D)), 0).astype(np.float32)


@pytest.fixture(scope="module")
def data():
    """Features of training and held-out images."""
    return draw(4000, 1), draw(1000, 2)


def noisy_copies(train, n, deviation):
    return train[:n] + deviation * np.random.default_rng(3).standard_normal((n, D)).astype(np.float32)


def test_new_samples_are_as_near_to_training_images_as_held_out_images(data):
    measured = CopyingTest(*data).measure(draw(2000, 4))
    assert (measured.n, measured.cells) == (2000, 20)
    assert abs(measured.c_t) < 1
    assert measured.nearer.value == pytest.approx(0.5, abs=0.03)
    low, high = measured.nearer.interval
    assert low < 0.5 < high
    assert high - low < 0.06
    assert measured.authentic == pytest.approx(CopyingTest(*data).measure(data[1]).authentic, abs=0.03)


def test_copies_with_noise_are_nearer_the_smaller_the_noise(data):
    test = CopyingTest(*data)
    measured = [test.measure(noisy_copies(data[0], 1000, deviation)) for deviation in (0, 0.05, 0.2)]
    assert measured[0].nearer.value == 1
    assert measured[0].authentic == 0
    assert [result.c_t for result in measured] == sorted(result.c_t for result in measured)
    assert all(result.c_t < -5 and result.nearer.interval[0] > 0.7 and result.authentic < 0.5 for result in measured)


def test_samples_outside_the_data_are_farther(data):
    measured = CopyingTest(*data).measure(1.3 * draw(1000, 4) + 0.5)
    assert measured.c_t > 3
    assert measured.nearer.interval[1] < 0.4


def test_copies_in_one_cell_alone_count_by_its_held_out_images():
    """Two distant clusters of the same size: all samples of the first are copies, those of the second are new."""
    offset = 50 * np.arange(2)[:, None, None]
    train, held_out, new = ((draw(2 * n, seed).reshape(2, n, D) + offset) for n, seed in ((1000, 1), (60, 2), (500, 3)))
    train, held_out = train.astype(np.float32), held_out.astype(np.float32)
    samples = np.concatenate([train[0, :100], new[1].astype(np.float32)])
    measured = CopyingTest(train.reshape(-1, D), held_out.reshape(-1, D)).measure(samples)
    assert measured.nearer.value == pytest.approx(0.75, abs=0.05)


def test_too_few_images_in_every_cell_are_not_measured(data):
    train, held_out = data
    for few, samples in ((held_out[:19], held_out), (held_out, held_out[:19])):
        measured = CopyingTest(train, few).measure(samples)
        assert (measured.cells, measured.c_t, measured.nearer) == (0, None, None)
        assert 0 < measured.authentic < 1
    assert CopyingTest(train, held_out[:20]).measure(held_out).cells == 1


def test_equal_seeds_give_equal_cells_and_figures(data):
    samples = draw(500, 4)
    assert CopyingTest(*data, seed=5).measure(samples) == CopyingTest(*data, seed=5).measure(samples)


@pytest.mark.parametrize("levels", [4, 10**9])
def test_mann_whitney_against_scipy(levels):
    random = np.random.default_rng(0)
    x, y = random.integers(0, levels, 40).astype(float), random.integers(levels // 4, levels, 70).astype(float)
    expected = mannwhitneyu(x, y, use_continuity=False, method="asymptotic")
    assert copying.z_score(x, y) == pytest.approx(-norm.isf(expected.pvalue / 2))
    assert copying.nearer(x, y).value == pytest.approx(1 - expected.statistic / (40 * 70))
    assert copying.z_score(np.ones(5), np.ones(7)) == 0


def test_the_interval_of_nearer_contains_the_true_probability():
    random = np.random.default_rng(0)
    true = norm.cdf(0.3 / np.sqrt(2))  # P(X < Y) for X from N(0, 1) and Y from N(0.3, 1)
    shares = [copying.nearer(random.normal(0, 1, 60), random.normal(0.3, 1, 30)) for _ in range(1000)]
    covered = np.mean([share.interval[0] <= true <= share.interval[1] for share in shares])
    assert covered == pytest.approx(0.95, abs=0.025)


def test_spacings_against_all_pairwise_distances():
    train = draw(300, 1)
    train[7] = train[11]  # duplicates are at distance 0
    pairwise = np.linalg.norm(train[:, None].astype(float) - train, axis=2) + np.diag(np.full(300, np.inf))
    training = TrainingSet(train)
    for rows in (np.array([7, 3, 3, 250]), np.arange(300)):
        np.testing.assert_allclose(training.spacings(rows), pairwise.min(axis=1)[rows], rtol=1e-5)


def test_membership_by_hand():
    half, other = np.zeros((1, 1), np.float32), np.full((1, 1), 2, np.float32)
    samples = np.array([[0.5], [0.9], [1], [1.5]], np.float32)
    assert copying.membership(samples, half, other).value == (1 + 1 + 0.5 + 0) / 4


def test_membership_reveals_a_sampler_that_copies_and_no_smooth_one():
    codes = np.random.default_rng(0).standard_normal((2000, D)).astype(np.float32)
    half, other = codes[:1000], codes[1000:]
    narrow = Kernel.fit(half, 0)
    narrow = Kernel(narrow.mean, narrow.root, narrow.white, np.array([0.05], np.float32))
    shares = [
        copying.membership(sampler.draw(2000, np.random.default_rng(1)), half, other)
        for sampler in (narrow, Gaussian.fit(half, 0))
    ]
    assert shares[0].value > 0.99
    assert shares[1].value == pytest.approx(0.5, abs=0.04)


def measured(value, error):
    return Copying(100, 1, 0.0, Share(value, error), 0.5)


@pytest.mark.parametrize(
    ("samples", "fits", "side"),
    [
        (measured(0.60, 0.01), None, 1),
        (measured(0.60, 0.06), None, 0),  # not significant
        (measured(0.514, 0.001), None, 0),  # negligible
        (measured(0.42, 0.01), None, -1),
        (measured(0.60, 0.01), measured(0.60, 0.01), 0),  # blurred fits are as near
        (measured(0.50, 0.01), measured(0.42, 0.01), 1),  # blur hides copies
        (measured(0.56, 0.02), measured(0.51, 0.02), 0),
        (measured(0.60, 0.01), Copying(8, 0, None, None, 0.5), 1),
        (Copying(8, 0, None, None, 0.5), None, None),
    ],
)
def test_the_verdict_compares_with_held_out_images_or_their_fits(samples, fits, side):
    assert samples.side(fits) == side
