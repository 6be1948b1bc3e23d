"""Encoding with a trained encoder, in batches, with the moving statistics of batch normalisation."""

import keras
import numpy as np
import tensorflow as tf

from glo.data.conditions import unconditional
from glo.model.codes import project
from glo.model.encoder import predict
from glo.model.glo_model import GloModel, normalize_pixels


class Encoder:
    """Predicts the codes of images, `batch_size` at a time. It is compiled once for any number of images."""

    def __init__(self, network: keras.Model, model: GloModel, projection: str, batch_size: int = 256):
        """network: of `glo.model.encoder`. model: with the generator that it belongs to."""
        self.batch_size = batch_size

        @tf.function(
            input_signature=[
                tf.TensorSpec([None, *model.image_shape], tf.uint8),
                tf.TensorSpec([None, model.condition_size], tf.float32),
            ]
        )
        def encode(images: tf.Tensor, conditions: tf.Tensor) -> tf.Tensor:
            outputs = predict(network, normalize_pixels(images), conditions)
            return project(outputs[:, : model.dimension], projection)  # variances of a vae follow the means

        self._encode = encode

    def codes(self, images: np.ndarray, conditions: np.ndarray | None = None) -> np.ndarray:
        """Predict the codes float32 [n, d] of images uint8 [n, H, W, C], n > 0, under conditions float32 [n, k].

        conditions: None for an unconditional model, with k = 0.
        """
        conditions = unconditional(len(images))[:] if conditions is None else conditions
        batches = [slice(start, start + self.batch_size) for start in range(0, len(images), self.batch_size)]
        return np.concatenate([self._encode(images[batch], conditions[batch]).numpy() for batch in batches])
