"""Decoding with the frozen generator, in batches, with the moving statistics of batch normalisation."""

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from glo.data.conditions import Conditions, unconditional
from glo.inference.psnr import Reconstruction
from glo.model.glo_model import GloModel, normalize_pixels
from glo.model.losses import Loss

BAR_DELAY = 2  # seconds before a progress bar is shown


class Decoder:
    """Generates images from codes float32 [n, d], `batch_size` at a time. It is compiled once for any number of codes.

    Device memory does not depend on n.
    """

    def __init__(self, model: GloModel, batch_size: int = 256):
        self.batch_size = batch_size
        widths = model.dimension, model.condition_size
        signature = [tf.TensorSpec([None, width], tf.float32) for width in widths]
        self._decode = tf.function(model.decode, input_signature=signature)

    def images(self, codes: np.ndarray, conditions: np.ndarray | Conditions | None = None) -> np.ndarray:
        """Generate images uint8 [n, H, W, C] from codes float32 [n, d], n > 0, and their conditions float32 [n, k].

        conditions: None for an unconditional model, with k = 0.
        """
        conditions = unconditional(len(codes)) if conditions is None else conditions
        images = [self._decode(codes[batch], conditions[batch]).numpy() for batch in self._batches(len(codes))]
        return np.concatenate([np.rint((batch + 1) * 127.5).astype(np.uint8) for batch in images])

    def losses(
        self, codes: np.ndarray, images: np.ndarray, loss: Loss, conditions: np.ndarray | Conditions | None = None
    ) -> np.ndarray:
        """The losses float32 [n] of codes float32 [n, d] and conditions [n, k] for images uint8 [n, H, W, C], n > 0."""
        conditions = unconditional(len(codes)) if conditions is None else conditions
        batches = self._batches(len(codes))
        generated = [(self._decode(codes[batch], conditions[batch]), images[batch]) for batch in batches]
        return np.concatenate([loss(shown, normalize_pixels(target)).numpy() for shown, target in generated])

    def measure(
        self, codes: np.ndarray, images: np.ndarray, loss: Loss, conditions: np.ndarray | Conditions | None = None
    ) -> Reconstruction:
        """Measure how well codes float32 [n, d] under conditions [n, k] reconstruct images uint8 [n, H, W, C]."""
        quality, conditions = Reconstruction(), unconditional(len(codes)) if conditions is None else conditions
        bar = {"desc": "measuring reconstructions", "unit": "batch", "delay": BAR_DELAY, "leave": False}
        for batch in tqdm(self._batches(len(codes)), disable=None, **bar):
            generated = self._decode(codes[batch], conditions[batch])
            quality.add(generated.numpy(), images[batch], loss(generated, normalize_pixels(images[batch])).numpy())
        return quality

    def _batches(self, n: int) -> list[slice]:
        return [slice(start, start + self.batch_size) for start in range(0, n, self.batch_size)]
