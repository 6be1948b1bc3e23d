"""The frozen generator: images of given codes, in batches, with the moving statistics of batch normalisation."""

import numpy as np
import tensorflow as tf

from glo.inference.psnr import Reconstruction
from glo.model.glo_model import GloModel, normalize_pixels
from glo.model.losses import Loss


class Decoder:
    """Compiled once for any number of codes. Codes are float32 [n, d]; memory does not grow with n."""

    def __init__(self, model: GloModel, batch_size: int = 256):
        self.batch_size = batch_size
        self._decode = tf.function(model.decode, input_signature=[tf.TensorSpec([None, model.dimension], tf.float32)])

    def images(self, codes: np.ndarray) -> np.ndarray:
        """Images uint8 [n, H, W, C] of the codes."""
        parts = [self._decode(codes[part]).numpy() for part in self._batches(len(codes))]
        return np.concatenate([np.rint((part + 1) * 127.5).astype(np.uint8) for part in parts])

    def measure(self, codes: np.ndarray, images: np.ndarray, loss: Loss) -> Reconstruction:
        """How well the codes reconstruct images uint8 [n, H, W, C]."""
        measured = Reconstruction()
        for part in self._batches(len(codes)):
            generated = self._decode(codes[part])
            measured.add(generated.numpy(), images[part], loss(generated, normalize_pixels(images[part])).numpy())
        return measured

    def _batches(self, n: int) -> list[slice]:
        return [slice(start, start + self.batch_size) for start in range(0, n, self.batch_size)]
