"""Losses against formulas written in NumPy and SciPy, and against TensorFlow's implementations where there are any."""

import inspect
import itertools

import numpy as np
import pytest
import tensorflow as tf
from scipy import ndimage

from glo.model import losses
from glo.settings import loss_expression

SHAPES = [(3, 28, 28, 1), (2, 32, 32, 3), (2, 13, 7, 3), (2, 3, 9, 1), (2, 1, 1, 1)]


def pair(shape, seed=0):
    random = np.random.default_rng(seed)
    return random.uniform(-1, 1, (2, *shape)).astype(np.float32)


def per_plane(formula, a, b):
    """Apply a formula of two planes [h, w] to each channel, and average over the channels of each sample: [B]."""
    a, b = a.astype(float), b.astype(float)
    return [np.mean([formula(x[..., c], y[..., c]) for c in range(x.shape[-1])]) for x, y in zip(a, b, strict=True)]


def pyramid(image, count=3, sigma=1.0, radius=2):
    """Laplacian pyramid of one plane [h, w], as defined in the paper: the levels of detail, then the smallest image."""
    levels = []
    for _ in range(count):
        if min(image.shape) < 2:
            break
        kernel = np.exp(-0.5 * np.arange(-radius, radius + 1) ** 2 / sigma**2)
        kernel /= kernel.sum()
        blurred = ndimage.convolve1d(ndimage.convolve1d(image, kernel, 0, mode="nearest"), kernel, 1, mode="nearest")
        levels.append(image - blurred)
        h, w = (side // 2 for side in image.shape)
        image = blurred[: 2 * h, : 2 * w].reshape(h, 2, w, 2).mean(axis=(1, 3))
    return [*levels, image]


def test_mse_and_l1_are_means_over_each_sample():
    a, b = pair((5, 7, 6, 3))
    np.testing.assert_allclose(losses.build("mse")(a, b), ((a - b) ** 2).reshape(5, -1).mean(1), rtol=1e-5)
    np.testing.assert_allclose(losses.build("l1")(a, b), np.abs(a - b).reshape(5, -1).mean(1), rtol=1e-5)


@pytest.mark.parametrize("delta", [0.1, 1.0, 3.0])
def test_huber_is_quadratic_up_to_delta_and_linear_beyond(delta):
    a, b = pair((5, 7, 6, 3))
    error = np.abs(a - b)
    expected = np.where(error <= delta, error**2 / 2, delta * (error - delta / 2)).reshape(5, -1).mean(1)
    np.testing.assert_allclose(losses.build(f"huber(delta={delta})")(a, b), expected, rtol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_lap_l1_is_the_sum_of_level_means(shape):
    a, b = pair(shape)

    def formula(x, y):
        return sum(np.abs(p - q).mean() for p, q in zip(pyramid(x), pyramid(y), strict=True))

    np.testing.assert_allclose(losses.build("lap_l1")(a, b), per_plane(formula, a, b), rtol=1e-4)


@pytest.mark.parametrize("shape", [(2, 32, 24, 3), (2, 28, 13, 1)])
@pytest.mark.parametrize(("count", "sigma", "radius"), [(1, 1.0, 2), (2, 1.7, 4), (8, 0.4, 1)])
@pytest.mark.parametrize("weights", ["plain", "paper", "pixels"])
def test_lap_l1_with_other_levels_sigma_and_weights(shape, count, sigma, radius, weights):
    a, b = pair(shape)

    def formula(x, y):
        total = 0
        for j, (p, q) in enumerate(
            zip(pyramid(x, count, sigma, radius), pyramid(y, count, sigma, radius), strict=True)
        ):
            l1 = np.abs(p - q).sum()
            total += {"plain": l1 / p.size, "paper": 2 ** (2 * j) * l1 / x.size, "pixels": l1 / x.size}[weights]
        return total

    loss = losses.build(f"lap_l1(levels={count},sigma={sigma},weights={weights})")
    np.testing.assert_allclose(loss(a, b), per_plane(formula, a, b), rtol=1e-4)


def test_the_papers_level_weights_are_the_plain_sum_unless_an_odd_side_is_halved():
    plain, paper = losses.build("lap_l1"), losses.build("lap_l1(weights=paper)")
    np.testing.assert_allclose(plain(*pair((4, 32, 16, 3))), paper(*pair((4, 32, 16, 3))), rtol=1e-6)
    assert np.all(plain(*pair((4, 28, 28, 1))) > 1.01 * paper(*pair((4, 28, 28, 1))).numpy())


@pytest.mark.parametrize("shape", SHAPES)
def test_local_moment_compares_means_and_variances_of_patches(shape):
    a, b = pair(shape)

    def patches(plane):
        window = tuple(min(4, side) for side in plane.shape)
        return np.lib.stride_tricks.sliding_window_view(plane, window)[::2, ::2]

    def formula(x, y):
        p, q = patches(x), patches(y)
        means = np.abs(p.mean(axis=(2, 3)) - q.mean(axis=(2, 3))).mean()
        return means + np.abs(p.var(axis=(2, 3)) - q.var(axis=(2, 3))).mean()

    np.testing.assert_allclose(losses.build("local_moment")(a, b), per_plane(formula, a, b), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("shape", [(2, 5, 4, 3), (2, 1, 2, 1), (2, 1, 1, 1)])
def test_pairwise_mse_is_the_mean_over_all_pairs_of_values(shape):
    a, b = pair(shape)
    expected = []
    for x, y in zip(a.reshape(2, -1).astype(float), b.reshape(2, -1).astype(float), strict=True):
        pairs = list(itertools.combinations(range(len(x)), 2))
        expected.append(np.mean([((x[i] - x[j]) - (y[i] - y[j])) ** 2 for i, j in pairs]) if pairs else 0)
    values = losses.build("pairwise_mse")(a, b)
    np.testing.assert_allclose(values, expected, rtol=1e-4, atol=1e-6)
    original = tf.compat.v1.losses.mean_pairwise_squared_error
    np.testing.assert_allclose(values, [original(b[i : i + 1], a[i : i + 1]) for i in range(2)], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("shape", [*SHAPES, (2, 11, 30, 1), (2, 8, 8, 3)])
def test_ssim_against_the_formula_of_wang_et_al(shape):
    # Similar images, whose index is high: unrelated noise has an index near 0, which would hide errors.
    a, noise = pair(shape)
    b = np.clip(a + 0.3 * noise, -1, 1)

    def formula(x, y):
        taps = [np.exp(-0.5 * ((np.arange(n) - (n - 1) / 2) / 1.5) ** 2) for n in (min(11, side) for side in x.shape)]
        window = np.outer(*taps) / np.outer(*taps).sum()

        def mean(values):
            windows = np.lib.stride_tricks.sliding_window_view(values, window.shape)
            return np.einsum("ijkl,kl->ij", windows, window)

        x, y = (x + 1) / 2, (y + 1) / 2
        mx, my = mean(x), mean(y)
        covariance = mean(x * y) - mx * my
        c1, c2 = 0.01**2, 0.03**2
        numerator = (2 * mx * my + c1) * (2 * covariance + c2)
        return (numerator / ((mx**2 + my**2 + c1) * (mean(x * x) - mx**2 + mean(y * y) - my**2 + c2))).mean()

    expected = per_plane(formula, a, b)
    np.testing.assert_allclose(losses.ssim(a, b), expected, rtol=1e-4)
    np.testing.assert_allclose(losses.build("ssim")(a, b), 1 - np.array(expected), rtol=1e-3, atol=1e-5)
    if shape[1] == shape[2] or min(shape[1:3]) >= 11:
        reference = tf.image.ssim((a + 1) / 2, (b + 1) / 2, max_val=1.0, filter_size=min(11, *shape[1:3]))
        np.testing.assert_allclose(losses.ssim(a, b), reference, rtol=1e-4)


def test_a_weighted_sum_of_losses():
    a, b = pair((3, 8, 8, 1))
    mse, l1 = ((a - b) ** 2).mean((1, 2, 3)), np.abs(a - b).mean((1, 2, 3))
    np.testing.assert_allclose(losses.build("0.25*mse + l1+2e+0*l1")(a, b), 0.25 * mse + 3 * l1, rtol=1e-5)


def test_settings_list_every_loss_with_its_arguments():
    assert {*losses.LOSSES, loss_expression.PERCEPTUAL} == loss_expression.LOSSES.keys()
    for name, loss in losses.LOSSES.items():
        assert list(inspect.signature(loss).parameters) == ["prediction", "target", *loss_expression.LOSSES[name]]


@pytest.mark.parametrize("name", [*losses.LOSSES, "lap_l1(weights=pixels)+0.5*mse"])
def test_each_sample_has_its_own_loss(name):
    a, b = pair((4, 8, 8, 1))
    loss = losses.build(name)
    values = np.asarray(loss(a, b))
    assert values.shape == (4,)
    assert values.dtype == np.float32
    single_values = [float(loss(a[i : i + 1], b[i : i + 1])[0]) for i in range(4)]
    np.testing.assert_allclose(values, single_values, rtol=1e-5)
    np.testing.assert_array_equal(loss(a, a), np.zeros(4))


@pytest.mark.parametrize("name", losses.LOSSES)
@pytest.mark.parametrize("shape", [(3, 28, 28, 1), (2, 7, 5, 3), (1, 2, 2, 1)])
def test_a_gradient_step_lowers_the_loss_of_each_sample(name, shape):
    a, b = pair(shape)
    loss = losses.build(name)

    @tf.function(input_signature=[tf.TensorSpec([None, *shape[1:]])] * 2)
    def gradient(x, target):
        with tf.GradientTape() as tape:
            tape.watch(x)
            values = loss(x, target)
        return tape.gradient(values, x)

    gradients = gradient(a, b).numpy()
    norms = np.sqrt((gradients**2).sum(axis=(1, 2, 3), keepdims=True))
    assert np.isfinite(gradients).all()
    assert (norms > 0).all()
    assert np.all(loss(a - 0.01 * gradients / norms, b) < loss(a, b))


def test_ssim_of_an_image_and_its_inverse_is_low():
    a, _ = pair((3, 16, 16, 1))
    assert np.all(losses.ssim(a, -a) < 0)
    bright = 0.9 + 0.1 * a
    assert np.all(losses.ssim(bright, -bright) < 0)
