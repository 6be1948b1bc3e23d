"""The generator's convolutions: transposed by kernels of 4 and strides of 2, in the forms that are fastest on CPUs.

Biases have a gradient of their own: that of TensorFlow's BiasAdd, which Keras uses, accumulates in bfloat16 on CPUs,
where it is off by a tenth and more at usual sizes.
"""

from collections.abc import Callable

import tensorflow as tf
from keras import layers

from glo.runtime import device

FEW = 8  # output channels, up to which oneDNN's transposed convolution leaves most of a vector register empty
SMALL_MAP = 16  # pixels of the input
AROUND = [[0, 0], [1, 1], [1, 1], [0, 0]]  # one pixel of padding on each side


class Deconvolution(layers.Conv2DTranspose):
    """`Conv2DTranspose(filters, 4, 2, padding="same")`, with the same weights and values, but faster on CPUs.

    Takes maps [B, h, w, c] to [B, 2h, 2w, filters], in float32 or bfloat16. Only B may be unknown.
    """

    def __init__(self, filters: int, **options):
        super().__init__(filters, 4, 2, padding="same", **options)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        # The other forms were found on CPUs: they go around gaps of oneDNN's kernels, which GPUs do not use.
        apply = _standard if tf.config.get_visible_devices("GPU") else deconvolve
        return add_bias(apply(inputs, tf.convert_to_tensor(self.kernel)), tf.convert_to_tensor(self.bias))


class Convolution(layers.Conv2D):
    """`Conv2D`, but for the gradient of the bias, see above."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return add_bias(self.convolution_op(inputs, self.kernel), tf.convert_to_tensor(self.bias))


@tf.custom_gradient
def add_bias(x: tf.Tensor, bias: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]]:
    """x [..., c] + bias [c]. The sum of the bias' gradient is a matrix product, which accumulates in float32."""

    def gradient(dy: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        rows = tf.reshape(dy, (-1, bias.shape[0]))
        return dy, tf.matmul(tf.ones((1, tf.shape(rows)[0]), dy.dtype), rows)[0]

    return x + bias, gradient


@tf.custom_gradient
def deconvolve(x: tf.Tensor, kernel: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]]:
    """x [B, h, w, ci] and kernel [4, 4, co, ci], of one dtype, to [B, 2h, 2w, co] and its gradient."""

    def gradient(dy: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return tf.nn.conv2d(dy, kernel, 2, "SAME"), _kernel_gradient(x, dy)

    return (_in_blocks if kernel.shape[2] <= FEW else _standard)(x, kernel), gradient


def _standard(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    _, height, width, _ = x.shape
    return tf.nn.conv2d_transpose(x, kernel, (tf.shape(x)[0], 2 * height, 2 * width, kernel.shape[2]), 2, "SAME")


def _in_blocks(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """The same by one plain convolution: 2x2 inputs give all 2x2 outputs between their centres, as 4 co channels."""
    _, _, co, ci = kernel.shape
    # Row 2i + r - 1 of the output is the sum over p of row i + p - 1 of the input times row 2(1 - p) + r of the kernel.
    taps = tf.reshape(kernel, (2, 2, 2, 2, co, ci))[::-1, :, ::-1]
    taps = tf.reshape(tf.transpose(taps, (0, 2, 5, 1, 3, 4)), (2, 2, ci, 4 * co))
    return tf.nn.depth_to_space(tf.nn.conv2d(x, taps, 1, AROUND), 2)[:, 1:-1, 1:-1]


def _kernel_gradient(x: tf.Tensor, dy: tf.Tensor) -> tf.Tensor:
    """[4, 4, co, ci], from the input x [B, h, w, ci] and the output's gradient dy [B, 2h, 2w, co]."""
    co, ci = dy.shape[3], x.shape[3]
    large = x.shape[1] * x.shape[2] > SMALL_MAP
    # On a CPU that emulates bfloat16, BackpropFilter is ten times slower and rounds each partial sum to 8 bits.
    emulated = x.dtype == tf.bfloat16 and not device.has_bfloat16()
    if (co <= FEW and not emulated) or (large and x.dtype != tf.bfloat16):
        return tf.raw_ops.Conv2DBackpropFilter(
            input=dy, filter_sizes=(4, 4, co, ci), out_backprop=x, strides=[1, 2, 2, 1], padding="SAME"
        )
    # oneDNN's own is slow on small maps, and slower in bfloat16 than in float32. Summing over samples and pixels is
    # what a plain convolution does if samples stand for channels, channels of dy for samples, and x, its pixels 2
    # apart, for the kernel.
    sums = tf.nn.conv2d(tf.transpose(dy, (3, 1, 2, 0)), tf.transpose(x, (1, 2, 0, 3)), 1, AROUND, dilations=2)
    return tf.transpose(sums, (1, 2, 0, 3))
