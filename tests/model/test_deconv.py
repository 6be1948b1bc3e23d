"""The transposed convolution and its gradients against those of Keras, in all implementations."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from glo.model.deconv import Convolution, Deconvolution
from glo.runtime import device


def layers_of(channels, size, filters):
    """Our layer and that of Keras, with the same weights."""
    ours, standard = Deconvolution(filters), keras.layers.Conv2DTranspose(filters, 4, 2, padding="same")
    random = np.random.default_rng(0)
    for layer in (ours, standard):
        layer.build((None, *size, channels))
    weights = [random.standard_normal(weight.shape).astype(np.float32) for weight in ours.weights]
    for layer in (ours, standard):
        layer.set_weights(weights)
    return ours, standard


def output_and_gradients(layer, x, dy):
    """Output y and gradients for x, kernel and bias of the loss sum(y * dy), whose gradient for y is dy."""
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x)
        loss = tf.reduce_sum(tf.cast(y, tf.float32) * dy)
    return [y, *tape.gradient(loss, [x, layer.kernel, layer.bias])]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("filters", [1, 3, 16])
@pytest.mark.parametrize("size", [(4, 4), (5, 6), (1, 2)])
def test_equals_keras_with_all_gradients(size, filters, precision):
    ours, standard = layers_of(5, size, filters)
    random = np.random.default_rng(1)
    x = tf.constant(random.standard_normal((32, *size, 5)), tf.float32)
    dy = tf.constant(random.standard_normal((32, 2 * size[0], 2 * size[1], filters)), tf.float32)
    expected = output_and_gradients(standard, x, dy)
    if precision == "bfloat16":
        ours.dtype_policy = "mixed_bfloat16"
    for a, b in zip(output_and_gradients(ours, x, dy), expected, strict=True):
        assert a.shape == b.shape
        # x, dy, the kernel and the result are rounded to the 8 bits of bfloat16; sums must be computed in float32.
        error = np.abs(np.asarray(a, np.float32) - b).max() / np.abs(b).max()
        assert error < (5e-6 if precision == "float32" else 0.02)


def test_the_kernel_gradient_with_emulated_bfloat16(monkeypatch):
    monkeypatch.setattr(device, "has_bfloat16", lambda: False)
    test_equals_keras_with_all_gradients((5, 6), 3, "bfloat16")


def test_names_and_shapes_of_weights_equal_those_of_keras():
    ours, standard = (
        [(w.path, tuple(w.shape)) for w in kind.weights]
        for kind in (
            keras.Sequential([keras.Input((4, 4, 5)), Deconvolution(7, name="up")], name="g"),
            keras.Sequential([keras.Input((4, 4, 5)), keras.layers.Conv2DTranspose(7, 4, 2, name="up")], name="g"),
        )
    )
    assert ours == standard == [("g/up/kernel", (4, 4, 7, 5)), ("g/up/bias", (7,))]


@pytest.mark.parametrize("filters", [2, 16])
def test_one_pixel_reaches_four_by_four(filters):
    """By definition, input pixel i adds its value times the kernel to the rows from 2i - 1 on, and so for columns."""
    ours, _ = layers_of(1, (5, 5), filters)
    x = np.zeros((1, 5, 5, 1), np.float32)
    x[0, 2, 3] = 2
    expected = np.zeros((10, 10, filters), np.float32)
    expected[3:7, 5:9] = 2 * ours.kernel.numpy()[..., 0]
    np.testing.assert_allclose(ours(x)[0], expected + ours.bias.numpy(), rtol=1e-6, atol=1e-6)


def test_the_bias_gradient_of_plain_convolutions_is_not_summed_in_bfloat16():
    layer = Convolution(3, 3, padding="same", dtype="mixed_bfloat16")
    random = np.random.default_rng(0)
    x, dy = (tf.constant(random.standard_normal((64, 16, 16, 3)), tf.float32) for _ in range(2))
    layer.build(x.shape)
    expected = tf.reduce_sum(dy, (0, 1, 2))
    *_, gradient = output_and_gradients(layer, x, dy)
    assert np.abs(gradient - expected).max() < 0.01 * np.abs(expected).max()
