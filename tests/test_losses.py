"""Losses against formulas written with NumPy and SciPy alone."""

import numpy as np
import pytest
from scipy import ndimage

from glo.losses import LOSSES


def pair(shape, seed=0):
    random = np.random.default_rng(seed)
    return random.uniform(-1, 1, (2, *shape)).astype(np.float32)


def pyramid(image):
    """Laplacian pyramid of one plane [h, w]: three details and the rest, as the paper's minimal form builds it."""
    levels = []
    for _ in range(3):
        if min(image.shape) < 2:
            break
        kernel = np.exp(-0.5 * np.arange(-2, 3) ** 2)
        kernel /= kernel.sum()
        blurred = ndimage.convolve1d(ndimage.convolve1d(image, kernel, 0, mode="nearest"), kernel, 1, mode="nearest")
        levels.append(image - blurred)
        h, w = (side // 2 for side in image.shape)
        image = blurred[: 2 * h, : 2 * w].reshape(h, 2, w, 2).mean(axis=(1, 3))
    return [*levels, image]


def test_mse_and_l1_are_means_over_each_sample():
    a, b = pair((5, 7, 6, 3))
    np.testing.assert_allclose(LOSSES["mse"](a, b), ((a - b) ** 2).reshape(5, -1).mean(1), rtol=1e-5)
    np.testing.assert_allclose(LOSSES["l1"](a, b), np.abs(a - b).reshape(5, -1).mean(1), rtol=1e-5)


@pytest.mark.parametrize("shape", [(3, 28, 28, 1), (2, 32, 32, 3), (2, 13, 7, 3), (2, 3, 9, 1), (2, 1, 1, 1)])
def test_lap_l1_is_the_sum_of_level_means(shape):
    a, b = pair(shape)
    expected = np.zeros(shape[0])
    for sample in range(shape[0]):
        planes = [
            zip(pyramid(a[sample, ..., c].astype(float)), pyramid(b[sample, ..., c].astype(float)), strict=True)
            for c in range(shape[3])
        ]
        # The mean over the channels of a level is the mean of the channels' means: they have one size.
        expected[sample] = np.mean([sum(np.abs(x - y).mean() for x, y in levels) for levels in planes])
    np.testing.assert_allclose(LOSSES["lap_l1"](a, b), expected, rtol=1e-4)


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_is_each_samples_own(name):
    a, b = pair((4, 8, 8, 1))
    together = np.asarray(LOSSES[name](a, b))
    alone = [float(LOSSES[name](a[i : i + 1], b[i : i + 1])[0]) for i in range(4)]
    np.testing.assert_allclose(together, alone, rtol=1e-5)
    np.testing.assert_array_equal(LOSSES[name](a, a), np.zeros(4))
