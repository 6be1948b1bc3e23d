"""FiLM, feature-wise linear modulation (Perez et al., AAAI 2018): the code scales and shifts the channels of each map.

Contrast, colour and the like act on a whole image at once. By convolutions alone they must pass through every map as
part of the pattern that they act on.
"""

from collections.abc import Callable

import keras
import tensorflow as tf
from keras import layers

from glo.model.batch_norm import BatchNormalization


class Modulation(layers.Layer):
    """(maps [B, h, w, c], film [B, 2 c]) -> maps * (1 + gain) + shift, gain and shift the halves of film."""

    def call(self, inputs: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        maps, film = inputs
        gain, shift = tf.split(film[:, None, None], 2, axis=-1)
        return maps * (1 + gain) + shift


def modulation(
    code: keras.KerasTensor, hidden: int, seed: int
) -> Callable[[keras.KerasTensor, str], keras.KerasTensor]:
    """A function (map, its name) -> the map modulated, by linear functions of the code and `hidden` units made of it.

    These functions start at 0, where they change nothing.
    """
    initializer = keras.initializers.GlorotUniform(seed)
    units = layers.Dense(hidden, use_bias=False, kernel_initializer=initializer, name="film_hidden")(code)
    units = BatchNormalization(name="film_norm")(units)
    units = layers.LeakyReLU(0.2, name="film_relu")(units)
    style = layers.Concatenate(name="film_style")([code, units])

    def modulate(maps: keras.KerasTensor, name: str) -> keras.KerasTensor:
        film = layers.Dense(2 * maps.shape[-1], kernel_initializer="zeros", name=f"film_{name}")(style)
        return Modulation(name=f"{name}_film")([maps, film])

    return modulate
