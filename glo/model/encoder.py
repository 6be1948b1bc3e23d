"""The encoder: image -> code, a small convolutional Keras network for images of any size.

It predicts the code that fitting would find, so that fitting can start near its end. GLO itself needs no encoder;
autoencoders learn one along with the generator.
"""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from glo.model import geometry
from glo.model.batch_norm import BatchNormalization
from glo.model.deconv import Convolution


def build(image_shape: tuple[int, int, int], dimension: int, seed: int, condition_size: int = 0) -> keras.Model:
    """Build the model from images float32 [B, H, W, C] in [-1, 1] to codes float32 [B, d], which are not projected.

    image_shape: (H, W, C). dimension: d. condition_size: k; if positive, the model takes images and conditions
    float32 [B, k], which are appended to the features of the convolutions.
    The initial weights depend on the seed alone.
    """
    seeds = iter(np.random.SeedSequence(seed).generate_state(32).tolist())
    x = image = keras.Input(image_shape, name="image")
    for i, (*_, channels) in enumerate(geometry.encoder_maps(image_shape)[1:]):
        x = Convolution(channels, 3, 2, padding="same", kernel_initializer=_he(next(seeds)), name=f"down{i}")(x)
        x = layers.LeakyReLU(0.2)(BatchNormalization(name=f"down{i}_norm")(x))
    inputs, x = image, layers.Flatten()(x)
    if condition_size:
        condition = keras.Input((condition_size,), name="condition")
        inputs, x = [image, condition], layers.Concatenate()([x, condition])
    x = layers.Dense(geometry.ENCODER_UNITS, use_bias=False, kernel_initializer=_he(next(seeds)), name="hidden")(x)
    x = layers.LeakyReLU(0.2)(BatchNormalization(name="hidden_norm")(x))
    code = layers.Dense(dimension, kernel_initializer=keras.initializers.GlorotUniform(next(seeds)), name="code")(x)
    return keras.Model(inputs, code, name="encoder")


def predict(network: keras.Model, images: tf.Tensor, conditions: tf.Tensor, training: bool = False) -> tf.Tensor:
    """The codes float32 [B, d] of images float32 [B, H, W, C] and conditions float32 [B, k], which are not projected.

    A network without a condition, for which k is 0, does not use `conditions`.
    """
    return network([images, conditions] if len(network.inputs) > 1 else images, training=training)


def _he(seed: int) -> keras.initializers.Initializer:
    return keras.initializers.HeNormal(seed)
