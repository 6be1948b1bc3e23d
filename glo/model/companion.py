"""The network with which the generator learns, besides codes: an encoder, or a discriminator. GLO needs none."""

import keras

from glo.model import discriminator, encoder, linear
from glo.settings import TrainSettings


def build(
    settings: TrainSettings, image_shape: tuple[int, int, int], dimension: int, condition_size: int = 0
) -> keras.Model | None:
    """Build the companion of the method of the settings, None for GLO. The arguments are those of the generator.

    The encoder of a vae has 2 d outputs: the means of the codes, then the logarithms of their variances.
    """
    match settings.method:
        case "pca":
            return linear.encoder(image_shape, dimension)
        case "autoencoder":
            return encoder.build(image_shape, dimension, settings.seed, condition_size)
        case "vae":
            return encoder.build(image_shape, 2 * dimension, settings.seed, condition_size)
        case "gan":
            return discriminator.build(image_shape, settings.seed, condition_size)
    return None
