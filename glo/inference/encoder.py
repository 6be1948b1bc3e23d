"""Encoding with a trained encoder e and its generator g, in batches, with moving statistics of batch normalisation.

    z = e(x), then z <- z + e(x) - e(g(z)) a few times

Where e errs, it errs alike for an image and for a reconstruction that is close to it: the difference of the two
predictions corrects z. ReStyle (Alaluf, Patashnik, Cohen-Or, ICCV 2021) trains a second input of the encoder to this
end; here e has learned e(g(z)) = z from generated pairs, which suffices.
"""

import keras
import numpy as np
import tensorflow as tf

from glo.model.codes import project
from glo.model.glo_model import GloModel, normalize_pixels

CORRECTIONS = 2  # each takes about as long as a step of fast fitting, and is worth several


class Encoder:
    """Predicts the codes of images, `batch_size` at a time. It is compiled once for any number of images."""

    def __init__(self, network: keras.Model, model: GloModel, projection: str, batch_size: int = 256):
        """network: of `glo.model.encoder`. model: with the generator that it belongs to."""
        self.batch_size = batch_size

        @tf.function(input_signature=[tf.TensorSpec([None, *model.image_shape], tf.uint8)])
        def encode(images: tf.Tensor) -> tf.Tensor:
            predicted = network(normalize_pixels(images), training=False)
            codes = project(predicted, projection)
            for _ in range(CORRECTIONS):
                error = network(model.decode(codes), training=False) - predicted
                codes = project(codes - error, projection)
            return codes

        self._encode = encode

    def codes(self, images: np.ndarray) -> np.ndarray:
        """Predict the codes float32 [n, d] of images uint8 [n, H, W, C], n > 0."""
        starts = range(0, len(images), self.batch_size)
        return np.concatenate([self._encode(images[start : start + self.batch_size]).numpy() for start in starts])
