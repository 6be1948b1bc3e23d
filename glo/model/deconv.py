"""The generator's convolutions, among them transposed ones (kernel 4, stride 2) in the forms that are fastest on CPUs.

The gradients of biases are computed here. Keras uses TensorFlow's BiasAdd, whose gradient in bfloat16 is accumulated in
bfloat16 on CPUs: at usual sizes its error is a tenth or more.
"""

from collections.abc import Callable

import tensorflow as tf
from keras import layers

from glo.runtime import device

FEW = 8  # up to this many output channels, oneDNN's transposed convolution leaves most of a vector register empty
SMALL_MAP = 16  # pixels of an input map that counts as small
PADDING = [[0, 0], [1, 1], [1, 1], [0, 0]]  # one pixel on each side


class Deconvolution(layers.Conv2DTranspose):
    """`Conv2DTranspose(filters, 4, 2, padding="same")`, with the same weights and values, but faster on CPUs.

    Takes maps [B, h, w, c] to [B, 2h, 2w, filters], in float32 or bfloat16. Only B may be unknown.
    """

    def __init__(self, filters: int, **options):
        super().__init__(filters, 4, 2, padding="same", **options)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        # The other forms replace slow kernels of oneDNN, which GPUs do not use.
        apply = _standard if tf.config.get_visible_devices("GPU") else deconvolve
        return add_bias(apply(inputs, tf.convert_to_tensor(self.kernel)), tf.convert_to_tensor(self.bias))


class Convolution(layers.Conv2D):
    """`Conv2D` with an accurate gradient of the bias (see above): maps [B, h, w, c] to [B, h', w', filters]."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return add_bias(self.convolution_op(inputs, self.kernel), tf.convert_to_tensor(self.bias))


@tf.custom_gradient
def add_bias(x: tf.Tensor, bias: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]]:
    """x [..., c] + bias [c]. The gradient of the bias is summed by a matrix product, which accumulates in float32."""

    def gradient(dy: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        rows = tf.reshape(dy, (-1, bias.shape[0]))
        return dy, tf.matmul(tf.ones((1, tf.shape(rows)[0]), dy.dtype), rows)[0]

    return x + bias, gradient


@tf.custom_gradient
def deconvolve(x: tf.Tensor, kernel: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]]:
    """Transposed convolution of x [B, h, w, ci] with kernel [4, 4, co, ci] of the same dtype: [B, 2h, 2w, co]."""

    def gradient(dy: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return tf.nn.conv2d(dy, kernel, 2, "SAME"), _kernel_gradient(x, dy)

    return (_in_blocks if kernel.shape[2] <= FEW else _standard)(x, kernel), gradient


def _standard(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    _, height, width, _ = x.shape
    return tf.nn.conv2d_transpose(x, kernel, (tf.shape(x)[0], 2 * height, 2 * width, kernel.shape[2]), 2, "SAME")


def _in_blocks(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """The same by a plain convolution: 2x2 inputs determine the 2x2 outputs between their centres, 4 co channels."""
    _, _, co, ci = kernel.shape
    # Row 2i + r - 1 of the output is the sum over p of row i + p - 1 of the input times row 2(1 - p) + r of the kernel.
    taps = tf.reshape(kernel, (2, 2, 2, 2, co, ci))[::-1, :, ::-1]
    taps = tf.reshape(tf.transpose(taps, (0, 2, 5, 1, 3, 4)), (2, 2, ci, 4 * co))
    return tf.nn.depth_to_space(tf.nn.conv2d(x, taps, 1, PADDING), 2)[:, 1:-1, 1:-1]


def _kernel_gradient(x: tf.Tensor, dy: tf.Tensor) -> tf.Tensor:
    """Gradient of the kernel, [4, 4, co, ci], from the input x [B, h, w, ci] and the gradient dy [B, 2h, 2w, co]."""
    co, ci = dy.shape[3], x.shape[3]
    large = x.shape[1] * x.shape[2] > SMALL_MAP
    # On a CPU that emulates bfloat16, BackpropFilter is ten times slower and rounds each partial sum to 8 bits.
    emulated = x.dtype == tf.bfloat16 and not device.has_bfloat16()
    if (co <= FEW and not emulated) or (large and x.dtype != tf.bfloat16):
        return tf.raw_ops.Conv2DBackpropFilter(
            input=dy, filter_sizes=(4, 4, co, ci), out_backprop=x, strides=[1, 2, 2, 1], padding="SAME"
        )
    # oneDNN's kernel is slow on small maps, and slower in bfloat16 than in float32. The sum over samples and pixels is
    # also a plain convolution in which the samples take the place of input channels, the channels of dy the place of
    # samples, and x, dilated by 2, the place of the kernel.
    sums = tf.nn.conv2d(tf.transpose(dy, (3, 1, 2, 0)), tf.transpose(x, (1, 2, 0, 3)), 1, PADDING, dilations=2)
    return tf.transpose(sums, (1, 2, 0, 3))
