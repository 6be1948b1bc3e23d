"""The floating-point operations of a training step, and the peak rate of the processor."""

from collections.abc import Iterator

import keras
import tensorflow as tf

from bench.timing import rate
from glo.model import generator
from glo.settings import TrainSettings


def flops(settings: TrainSettings, image_shape: tuple[int, int, int], dimension: int) -> int:
    """Floating-point operations of a joint step per image: one forward pass, and as many for each of two gradients.

    A multiplication and an addition count as two. The dense layer takes 2 d n for n values. An output pixel of a
    transposed convolution with 4x4 kernels and strides of 2 meets 4 of their 16 taps: 2 * 4 * c_in * c_out * H_out *
    W_out. Everything else (normalisation, activations, loss, updates) is left out.
    """
    total = 0
    for layer in generator.build(image_shape, dimension, settings).layers:
        if isinstance(layer, keras.layers.Dense):
            total += 2 * layer.kernel.shape[0] * layer.kernel.shape[1]
        elif isinstance(layer, keras.layers.Conv2DTranspose):
            _, height, width, out = layer.output.shape
            total += 2 * 4 * layer.input.shape[3] * out * height * width
    return 3 * total


def matrix_rates(dtype: str, n: int) -> Iterator[float]:
    """Operations/s of a product of two n x n matrices, again and again."""
    a, b = (tf.cast(tf.random.stateless_normal((n, n), (0, seed)), dtype) for seed in (1, 2))
    product = tf.function(tf.matmul)
    while True:
        yield rate(lambda: product(a, b).numpy(), 2 * n**3, repeats=5)
