"""The loss `perceptual` against a NumPy formula, with maps that a test computes itself."""

import numpy as np
import pytest
import tensorflow as tf

from glo.model import losses, perceptual

KERNELS = [np.random.default_rng(width).standard_normal((3, width)).astype(np.float32) for width in (5, 4)]


def maps(images):
    """Two maps of [B, 8, 6, 3]: features after a ReLU of each pixel, and of the means of 2x2 pixels."""
    coarse = tf.nn.avg_pool2d(images, 2, 2, "VALID")
    return [tf.nn.relu(tf.tensordot(x, kernel, 1)) for x, kernel in zip((images, coarse), KERNELS, strict=True)]


def pair():
    return np.random.default_rng(0).uniform(-1, 1, (2, 4, 8, 6, 3)).astype(np.float32)


def expected(a, b):
    """The formula for one image in float64."""
    means = []
    for kernel, side in zip(KERNELS, (1, 2), strict=True):
        unit = []
        for image in (a, b):
            h, w = image.shape[0] // side, image.shape[1] // side
            pixels = image.astype(float).reshape(h, side, w, side, 3).mean(axis=(1, 3))
            features = np.maximum(pixels @ kernel.astype(float), 0)
            unit.append(features / np.sqrt((features**2).sum(axis=-1, keepdims=True) + 1e-6))
        means.append(((unit[0] - unit[1]) ** 2).sum(axis=-1).mean())
    return np.mean(means)


def test_the_distance_is_that_of_the_formula_for_each_image():
    a, b = pair()
    values = perceptual.distance(maps, a, b)
    assert values.dtype == tf.float32
    np.testing.assert_allclose(values, [expected(x, y) for x, y in zip(a, b, strict=True)], rtol=1e-5)
    np.testing.assert_array_equal(perceptual.distance(maps, a, a), np.zeros(4))
    alone = [float(perceptual.distance(maps, a[i : i + 1], b[i : i + 1])[0]) for i in range(4)]
    np.testing.assert_allclose(values, alone, rtol=1e-6)


def test_only_the_prediction_has_a_gradient_and_a_step_along_it_lowers_the_loss():
    a, b = map(tf.constant, pair())
    with tf.GradientTape() as tape:
        tape.watch([a, b])
        values = perceptual.distance(maps, a, b)
    of_prediction, of_target = tape.gradient(values, [a, b])
    assert of_target is None
    norms = tf.norm(tf.reshape(of_prediction, [4, -1]), axis=1)[:, None, None, None]
    assert np.all(norms > 0)
    assert np.all(perceptual.distance(maps, a - 0.01 * of_prediction / norms, b) < values)


def test_gradients_are_finite_where_all_features_are_0():
    black = tf.zeros((1, 8, 6, 3))
    with tf.GradientTape() as tape:
        tape.watch(black)
        values = perceptual.distance(maps, black, pair()[1][:1])
    assert np.isfinite(tape.gradient(values, black)).all()
    np.testing.assert_array_equal(perceptual.distance(maps, black, black), [0])


def test_a_weighted_sum_with_a_network():
    a, b = pair()
    values = losses.build("mse+0.5*perceptual", maps)(a, b)
    np.testing.assert_allclose(values, losses.mse(a, b) + 0.5 * perceptual.distance(maps, a, b), rtol=1e-6)
    with pytest.raises(ValueError, match="the loss perceptual needs a network"):
        losses.build("mse+0.5*perceptual")
