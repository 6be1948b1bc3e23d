"""FiLM, feature-wise linear modulation (Perez et al., AAAI 2018): the code scales and shifts the channels of each map.

FiLM models properties of a whole image, such as contrast and colour, directly. Without it, every convolution must carry
them along, mixed with the local pattern.
"""

from collections.abc import Callable

import keras
import tensorflow as tf
from keras import layers

from glo.model.batch_norm import BatchNormalization


class Modulation(layers.Layer):
    """(maps [B, h, w, c], film [B, 2 c]) to maps * (1 + gain) + shift, where film is gain and shift, concatenated."""

    def call(self, inputs: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        maps, film = inputs
        gain, shift = tf.split(film[:, None, None], 2, axis=-1)
        return maps * (1 + gain) + shift


def modulation(
    code: keras.KerasTensor, hidden: int, seed: int
) -> Callable[[keras.KerasTensor, str], keras.KerasTensor]:
    """Build the function (map, name of the map) -> modulated map.

    Gain and shift of a map are linear functions of the code [B, d] and of a hidden layer of `hidden` units, which all
    maps share. They are initialised to zero, so that modulation is the identity at first.
    """
    initializer = keras.initializers.GlorotUniform(seed)
    x = layers.Dense(hidden, use_bias=False, kernel_initializer=initializer, name="film_hidden")(code)
    x = BatchNormalization(name="film_norm")(x)
    x = layers.LeakyReLU(0.2, name="film_relu")(x)
    style = layers.Concatenate(name="film_style")([code, x])

    def modulate(maps: keras.KerasTensor, name: str) -> keras.KerasTensor:
        film = layers.Dense(2 * maps.shape[-1], kernel_initializer="zeros", name=f"film_{name}")(style)
        return Modulation(name=f"{name}_film")([maps, film])

    return modulate
