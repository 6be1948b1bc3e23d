"""The networks of PCA: a generator and an encoder of one linear layer each, and the state of its subspace iteration."""

import math

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from glo.data.randomness import Stream, random_generator

OVERSAMPLING = 32  # directions beyond d, with which the d leading ones converge in a few passes


def generator(image_shape: tuple[int, int, int], dimension: int) -> keras.Model:
    """The model from codes float32 [B, d] to images float32 [B, H, W, C]: mean + code @ kernel, clipped to [-1, 1]."""
    code = keras.Input((dimension,), name="code")
    x = layers.Dense(math.prod(image_shape), kernel_initializer="zeros", name="components")(code)
    x = layers.Reshape(image_shape, name="map")(x)
    return keras.Model(code, layers.Activation("hard_tanh", name="clip")(x), name="generator")


def encoder(image_shape: tuple[int, int, int], dimension: int) -> keras.Model:
    """The model from images float32 [B, H, W, C] to codes float32 [B, d]."""
    image = keras.Input(image_shape, name="image")
    code = layers.Dense(dimension, kernel_initializer="zeros", name="code")(layers.Flatten()(image))
    return keras.Model(image, code, name="encoder")


def subspace(image_shape: tuple[int, int, int], dimension: int, seed: int) -> dict[str, tf.Variable]:
    """The variables of the subspace iteration, float32, where D = H * W * C and q is at most d + `OVERSAMPLING`.

    sum [D] of all images; orthonormal basis [D, q]; product [D, q] of their covariance, times their number, with it.
    """
    size = math.prod(image_shape)
    count = min(dimension + OVERSAMPLING, size)
    directions = random_generator(seed, Stream.SUBSPACE).standard_normal((size, count))
    values = {
        "sum": np.zeros(size),
        "basis": np.linalg.qr(directions)[0],
        "product": np.zeros((size, count)),
    }
    return {name: tf.Variable(value, dtype=tf.float32, trainable=False, name=name) for name, value in values.items()}
