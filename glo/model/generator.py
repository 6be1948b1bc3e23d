"""The generator g: code -> image, a Keras model for images of any size (section 4 of the paper uses DCGAN's)."""

import math

import keras
import numpy as np
from keras import layers

from glo.model.batch_norm import BatchNormalization
from glo.model.deconv import Convolution, Deconvolution
from glo.model.film import modulation
from glo.settings import TrainSettings

COARSE_SIDE = 4  # the first map's shorter side is about this long unless `blocks` says otherwise


class Projection(layers.Dense):
    """From a code to the values of the first map: a product of its own kind, so that its precision can be chosen."""


def build(image_shape: tuple[int, int, int], dimension: int, settings: TrainSettings) -> keras.Model:
    """A model from codes float32 [B, d] to images float32 [B, H, W, C] in [-1, 1].

    Activations are leaky, as in DCGAN's discriminator: plain ReLUs die at the rates that GLO likes, and cost 1 dB.
    The code is projected to a small map, batch-normalised, then doubled in size `blocks` times and cropped to H x W.
    `deconv` doubles by a transposed convolution (kernel 4, stride 2), `resize_conv` by bilinear upsampling and a
    convolution (kernel 3), which leaves no checkerboards. With `film` the code modulates every map before its
    activation. Weights depend on `seed` alone.
    """
    height, width, channels = image_shape
    blocks = upsampling_blocks(height, width) if settings.blocks is None else settings.blocks
    rows, columns = math.ceil(height / 2**blocks), math.ceil(width / 2**blocks)
    # Channels of the maps from the coarsest to the finest hidden one, then of the image.
    widths = [min(settings.channels << i, settings.max_channels) for i in reversed(range(max(blocks, 1)))]
    seeds = iter(np.random.SeedSequence(settings.seed).generate_state(blocks + 3).tolist())

    z = x = keras.Input((dimension,), name="code")
    x = Projection(rows * columns * widths[0], use_bias=False, kernel_initializer=_glorot(next(seeds)), name="project")(
        x
    )
    x = layers.Reshape((rows, columns, widths[0]), name="map")(x)
    x = BatchNormalization(name="norm")(x)
    modulate = modulation(z, settings.film, next(seeds)) if settings.film else lambda maps, _: maps
    x = layers.LeakyReLU(0.2, name="map_relu")(modulate(x, "map"))
    for block, out in enumerate([*widths[1:], channels][:blocks]):
        x = modulate(_double(x, out, settings.generator, next(seeds), f"up{block}"), f"up{block}")
        if block < blocks - 1:
            x = layers.LeakyReLU(0.2, name=f"up{block}_relu")(x)
    if blocks == 0:
        x = Convolution(channels, 3, padding="same", kernel_initializer=_glorot(next(seeds)), name="out")(x)
        x = modulate(x, "out")
    x = layers.Activation("tanh", name="tanh", dtype="float32")(x)
    x = layers.Cropping2D(_margins((rows << blocks) - height, (columns << blocks) - width), name="crop")(x)
    return keras.Model(z, x, name="generator")


def upsampling_blocks(height: int, width: int) -> int:
    """The number of doublings that starts from a map of about `COARSE_SIDE` on the shorter side."""
    return max(0, round(math.log2(min(height, width) / COARSE_SIDE)))


def _double(x: keras.KerasTensor, channels: int, kind: str, seed: int, name: str) -> keras.KerasTensor:
    if kind == "deconv":
        return Deconvolution(channels, kernel_initializer=_glorot(seed), name=name)(x)
    x = layers.UpSampling2D(2, interpolation="bilinear", name=f"{name}_resize")(x)
    return Convolution(channels, 3, padding="same", kernel_initializer=_glorot(seed), name=name)(x)


def _glorot(seed: int) -> keras.initializers.Initializer:
    return keras.initializers.GlorotUniform(seed)


def _margins(rows: int, columns: int) -> tuple[tuple[int, int], tuple[int, int]]:
    return (rows // 2, rows - rows // 2), (columns // 2, columns - columns // 2)
