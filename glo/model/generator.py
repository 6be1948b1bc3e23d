"""The generator g: code -> image, a Keras model for images of any size (section 4 of the paper uses DCGAN's)."""

from collections.abc import Callable

import keras
import numpy as np
from keras import layers

from glo.model import linear
from glo.model.batch_norm import BatchNormalization
from glo.model.deconv import Convolution, Deconvolution
from glo.model.film import modulation
from glo.model.geometry import EMBEDDING, maps
from glo.settings import TrainSettings


class Projection(layers.Dense):
    """Dense layer from the code to the first map. Its own class lets `glo.model.precision` choose its precision."""


def build(
    image_shape: tuple[int, int, int], dimension: int, settings: TrainSettings, condition_size: int = 0
) -> keras.Model:
    """Build the model from codes float32 [B, d] to images float32 [B, H, W, C] in [-1, 1]. With PCA, it is linear.

    image_shape: (H, W, C). dimension: d. condition_size: k; if positive, the model takes codes and conditions
    float32 [B, k], and a linear embedding of the condition is appended to the code everywhere.
    A dense layer maps the code to a small map, which is batch-normalised, doubled in size `blocks` times by the layers
    of `UPSAMPLING`, and cropped to H x W. With `film`, the code modulates every map before its activation.
    Activations are leaky ReLUs, as in DCGAN's discriminator: at the learning rates that suit GLO, many plain ReLUs die,
    which costs 1 dB. The initial weights depend on `seed` alone.
    """
    if settings.method == "pca":
        return linear.generator(image_shape, dimension)
    height, width, channels = image_shape
    (rows, columns, first), *outputs = maps(image_shape, settings)
    blocks = len(outputs) if outputs[0][0] > rows else 0
    *layer_seeds, embedding_seed = np.random.SeedSequence(settings.seed).generate_state(blocks + 4).tolist()
    seeds = iter(layer_seeds)

    inputs = z = keras.Input((dimension,), name="code")
    if condition_size:
        condition = keras.Input((condition_size,), name="condition")
        embed = layers.Dense(EMBEDDING, use_bias=False, kernel_initializer=_glorot(embedding_seed), name="embedding")
        inputs, z = [z, condition], layers.Concatenate(name="conditional_code")([z, embed(condition)])
    x = z
    x = Projection(rows * columns * first, use_bias=False, kernel_initializer=_glorot(next(seeds)), name="project")(x)
    x = layers.Reshape((rows, columns, first), name="map")(x)
    x = BatchNormalization(name="norm")(x)
    modulate = modulation(z, settings.film, next(seeds)) if settings.film else lambda x, _: x
    x = layers.LeakyReLU(0.2, name="map_relu")(modulate(x, "map"))
    for block, (*_, out) in enumerate(outputs[:blocks]):
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
