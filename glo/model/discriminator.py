"""The discriminator of a GAN: the convolutions of DCGAN (Radford, Metz, Chintala, 2016), for images of any size.

It has no batch normalisation, with which the gradient at an image would depend on the other images of the batch.
"""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from glo.model import geometry
from glo.model.deconv import Convolution


def build(image_shape: tuple[int, int, int], seed: int, condition_size: int = 0) -> keras.Model:
    """Build the model from images float32 [B, H, W, C] in [-1, 1] to logits float32 [B, 1], positive for real ones.

    image_shape: (H, W, C). condition_size: k; if positive, the model takes images and conditions float32 [B, k], and
    the product of the features with a linear embedding of the condition is added to the logit (Miyato, Koyama, 2018).
    The initial weights depend on the seed alone.
    """
    seeds = iter(np.random.SeedSequence(seed).generate_state(32).tolist())
    x = image = keras.Input(image_shape, name="image")
    for i, (*_, channels) in enumerate(geometry.encoder_maps(image_shape)[1:]):
        x = Convolution(channels, 4, 2, padding="same", kernel_initializer=_he(next(seeds)), name=f"down{i}")(x)
        x = layers.LeakyReLU(0.2)(x)
    features = layers.Flatten()(x)
    inputs, logit = image, layers.Dense(1, kernel_initializer=_glorot(next(seeds)), name="logit")(features)
    if condition_size:
        condition = keras.Input((condition_size,), name="condition")
        embed = layers.Dense(
            features.shape[1], use_bias=False, kernel_initializer=_glorot(next(seeds)), name="embedding"
        )
        match = layers.Dot(axes=1, name="match")([features, embed(condition)])
        inputs, logit = [image, condition], layers.Add(name="conditional_logit")([logit, match])
    return keras.Model(inputs, logit, name="discriminator")


def logits(network: keras.Model, images: tf.Tensor, conditions: tf.Tensor) -> tf.Tensor:
    """The logits float32 [B] of images float32 [B, H, W, C] and conditions float32 [B, k], which k = 0 leaves out."""
    return network([images, conditions] if len(network.inputs) > 1 else images)[:, 0]


def _he(seed: int) -> keras.initializers.Initializer:
    return keras.initializers.HeNormal(seed)


def _glorot(seed: int) -> keras.initializers.Initializer:
    return keras.initializers.GlorotUniform(seed)
