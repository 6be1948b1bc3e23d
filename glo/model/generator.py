"""The generator g: code -> image, a Keras model for images of any size (section 4 of the paper uses DCGAN's)."""

import math
from collections.abc import Callable
from functools import partial

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from glo.model.batch_norm import BatchNormalization
from glo.model.deconv import Convolution, Deconvolution
from glo.model.film import modulation
from glo.settings import TrainSettings

COARSE_SIDE = 4  # approximate shorter side of the first map, unless the setting `blocks` is given
EMBEDDING = 32  # dimension of the embedding of a condition


class Projection(layers.Dense):
    """Dense layer from the code to the first map. Its own class lets `glo.model.precision` choose its precision."""


class Transformation(layers.Layer):
    """(codes z [B, d], matrices M [B, d d], shifts s [B, d]) to z + z M + s, float32 [B, d]."""

    def call(self, inputs: tuple[tf.Tensor, tf.Tensor, tf.Tensor]) -> tf.Tensor:
        codes, matrices, shifts = inputs
        d = codes.shape[1]
        return codes + tf.einsum("bi,bij->bj", codes, tf.reshape(matrices, (-1, d, d))) + shifts


def build(
    image_shape: tuple[int, int, int], dimension: int, settings: TrainSettings, condition_size: int = 0
) -> keras.Model:
    """Build the model from codes float32 [B, d] to images float32 [B, H, W, C] in [-1, 1].

    image_shape: (H, W, C). dimension: d. condition_size: k; if positive, the model takes codes and conditions
    float32 [B, k]. The condition then transforms the code by a matrix and a shift (see `transform`), and its embedding
    is appended. The network takes the result in place of the code.
    A dense layer maps the code to a small map, which is batch-normalised, doubled in size `blocks` times by the layers
    of `UPSAMPLING`, and cropped to H x W. With `film`, the code modulates every map before its activation.
    Activations are leaky ReLUs, as in DCGAN's discriminator: at the learning rates that suit GLO, many plain ReLUs die,
    which costs 1 dB. The initial weights depend on `seed` alone.
    """
    height, width, channels = image_shape
    blocks = upsampling_blocks(height, width) if settings.blocks is None else settings.blocks
    rows, columns = math.ceil(height / 2**blocks), math.ceil(width / 2**blocks)
    # Channels of the hidden maps, from the coarsest to the finest.
    widths = [min(settings.channels << i, settings.max_channels) for i in reversed(range(max(blocks, 1)))]
    *layer_seeds, embedding_seed = np.random.SeedSequence(settings.seed).generate_state(blocks + 4).tolist()
    seeds = iter(layer_seeds)

    inputs = z = keras.Input((dimension,), name="code")
    if condition_size:
        condition = keras.Input((condition_size,), name="condition")
        inputs, z = [z, condition], _conditional_code(z, condition, embedding_seed)
    x = z
    x = Projection(rows * columns * widths[0], use_bias=False, kernel_initializer=_glorot(next(seeds)), name="project")(
        x
    )
    x = layers.Reshape((rows, columns, widths[0]), name="map")(x)
    x = BatchNormalization(name="norm")(x)
    modulate = modulation(z, settings.film, next(seeds)) if settings.film else lambda maps, _: maps
    x = layers.LeakyReLU(0.2, name="map_relu")(modulate(x, "map"))
    for block, out in enumerate([*widths[1:], channels][:blocks]):
        x = UPSAMPLING[settings.generator](x, out, next(seeds), f"up{block}")
        x = modulate(x, f"up{block}")
        if block < blocks - 1:
            x = layers.LeakyReLU(0.2, name=f"up{block}_relu")(x)
    if blocks == 0:
        x = Convolution(channels, 3, padding="same", kernel_initializer=_glorot(next(seeds)), name="out")(x)
        x = modulate(x, "out")
    x = layers.Activation("tanh", name="tanh", dtype="float32")(x)
    x = layers.Cropping2D(_margins((rows << blocks) - height, (columns << blocks) - width), name="crop")(x)
    return keras.Model(inputs, x, name="generator")


def _conditional_code(code: keras.KerasTensor, condition: keras.KerasTensor, seed: int) -> keras.KerasTensor:
    """The code [B, d], transformed by a matrix and a shift of the condition [B, k], and an embedding of the condition.

    Codes are distributed alike under every condition. The transformation turns them into coordinates of the image. It
    is the identity unless `transform` sets it, and is not trained: gradient steps of its weights change the codes of
    all images of a class at once, and training diverges.
    """
    d = code.shape[1]
    fixed = partial(layers.Dense, use_bias=False, kernel_initializer="zeros", trainable=False)
    matrix = fixed(d * d, name="condition_matrix")(condition)
    shift = fixed(d, name="condition_shift")(condition)
    embed = layers.Dense(EMBEDDING, use_bias=False, kernel_initializer=_glorot(seed), name="embedding")
    transformed = Transformation(name="transformed_code")([code, matrix, shift])
    return layers.Concatenate(name="conditional_code")([transformed, embed(condition)])


def transform(generator: keras.Model, conditions: np.ndarray, matrices: np.ndarray, shifts: np.ndarray) -> None:
    """Let a conditional generator multiply codes by a matrix of their condition and add a shift.

    conditions: float32 [g, k]. matrices: float32 [g, d, d]. shifts: float32 [g, d]. Where they are not linear functions
    of the conditions, these are fitted by least squares.
    """
    changes = matrices - np.eye(matrices.shape[1])
    for name, targets in (("condition_matrix", changes.reshape(len(changes), -1)), ("condition_shift", shifts)):
        kernel = np.linalg.lstsq(conditions, targets, rcond=None)[0]
        generator.get_layer(name).kernel.assign(kernel.astype(np.float32))


def upsampling_blocks(height: int, width: int) -> int:
    """The number of doublings for which the shorter side of the first map is about `COARSE_SIDE`."""
    return max(0, round(math.log2(min(height, width) / COARSE_SIDE)))


def _deconv(x: keras.KerasTensor, channels: int, seed: int, name: str) -> keras.KerasTensor:
    """Double the sides of a map by a transposed convolution (kernel 4, stride 2), as DCGAN does."""
    return Deconvolution(channels, kernel_initializer=_glorot(seed), name=name)(x)


def _resize_conv(x: keras.KerasTensor, channels: int, seed: int, name: str) -> keras.KerasTensor:
    """Double them by bilinear upsampling and a convolution (kernel 3), which avoids checkerboard artefacts."""
    x = layers.UpSampling2D(2, interpolation="bilinear", name=f"{name}_resize")(x)
    return Convolution(channels, 3, padding="same", kernel_initializer=_glorot(seed), name=name)(x)


# By the names of --generator: a function of a map [B, h, w, c], the new number of channels, a seed and a layer name.
UPSAMPLING: dict[str, Callable[[keras.KerasTensor, int, int, str], keras.KerasTensor]] = {
    "deconv": _deconv,
    "resize_conv": _resize_conv,
}


def _glorot(seed: int) -> keras.initializers.Initializer:
    return keras.initializers.GlorotUniform(seed)


def _margins(rows: int, columns: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """How many of the surplus rows and columns are cropped at (top, bottom), (left, right)."""
    return (rows // 2, rows - rows // 2), (columns // 2, columns - columns // 2)
