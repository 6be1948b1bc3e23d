"""Decoding with the frozen generator, in batches, with the moving statistics of batch normalisation."""

import numpy as np
import tensorflow as tf

from glo.inference.psnr import Reconstruction
from glo.model.glo_model import GloModel, normalize_pixels
from glo.model.losses import Loss


class Decoder:
    """Generates images from codes float32 [n, d], `batch_size` at a time. It is compiled once for any number of codes.

    Device memory does not depend on n.
    """

    def __init__(self, model: GloModel, batch_size: int = 256):
        self.batch_size = batch_size
        self._decode = tf.function(model.decode, input_signature=[tf.TensorSpec([None, model.dimension], tf.float32)])

    def images(self, codes: np.ndarray) -> np.ndarray:
        """Generate images uint8 [n, H, W, C] from codes float32 [n, d], n > 0."""
        images = [self._decode(codes[batch]).numpy() for batch in self._batches(len(codes))]
        return np.concatenate([np.rint((batch + 1) * 127.5).astype(np.uint8) for batch in images])

    def losses(self, codes: np.ndarray, images: np.ndarray, loss: Loss) -> np.ndarray:
        """The losses float32 [n] of codes float32 [n, d] for images uint8 [n, H, W, C], n > 0."""
        batches = self._batches(len(codes))
        return np.concatenate(
            [loss(self._decode(codes[batch]), normalize_pixels(images[batch])).numpy() for batch in batches]
        )

    def measure(self, codes: np.ndarray, images: np.ndarray, loss: Loss) -> Reconstruction:
        """Measure how well codes float32 [n, d] reconstruct images uint8 [n, H, W, C]."""
        quality = Reconstruction()
        for batch in self._batches(len(codes)):
            generated = self._decode(codes[batch])
            quality.add(generated.numpy(), images[batch], loss(generated, normalize_pixels(images[batch])).numpy())
        return quality

    def _batches(self, n: int) -> list[slice]:
        return [slice(start, start + self.batch_size) for start in range(0, n, self.batch_size)]
