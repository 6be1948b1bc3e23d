"""Data augmentation for small datasets: altered copies of the training images, each with its own code.

Other models can alter an image differently in each epoch. In GLO the code determines the image, so that each copy is
an additional row of the code table and stays the same throughout training. Copies are computed when they are needed;
only their parameters are kept in memory.
"""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from glo.data.lazy_array import Rows
from glo.data.randomness import Stream, random_generator
from glo.settings import TrainSettings

TURN = 0.06  # standard deviation of the angle, in radians
STRETCH = 0.12  # standard deviation of the logarithm of the scale of each axis
SHEAR = 0.1  # standard deviation of the tangent of the angle
SHIFT = 0.1  # largest shift, as a share of the side of the image
CONTRAST = 0.25  # standard deviation of the logarithm of the gain
BRIGHTNESS, TINT = 0.1, 0.025  # standard deviations of offsets, as shares of white: of all channels, of each channel
UPSCALING = 2  # moved images are resampled from a version of this many times their size, which keeps them sharp
PART_BYTES = 1 << 24


class Alterations(NamedTuple):
    """How images are altered, one row for each: see `draw`.

    matrices: float32 [b, 8], the affine maps of `_matrices`. gains: float32 [b], factors on the contrast; negative for
    inverted images. offsets: float32 [b, C], added to the pixels.
    """

    matrices: np.ndarray
    gains: np.ndarray
    offsets: np.ndarray

    def take(self, rows: np.ndarray) -> "Alterations":
        """Those of rows int64 [k]."""
        return Alterations(*(array[rows] for array in self))


def draw(count: int, image_shape: tuple[int, int, int], names: str, random: np.random.Generator) -> Alterations:
    """Draw `count` random alterations of images [H, W, C]. names: as in --augment, such as "move,color"."""
    words, channels = names.split(","), image_shape[2]
    matrices = _matrices(count, image_shape[:2], "move" in words, "flip" in words, random)
    gains, offsets = np.ones(count, np.float32), np.zeros((count, channels), np.float32)
    if "color" in words:
        gains *= np.exp(CONTRAST * random.standard_normal(count, np.float32))
        offsets += 255 * BRIGHTNESS * random.standard_normal((count, 1), np.float32)
        if channels > 1:
            offsets += 255 * TINT * random.standard_normal((count, channels), np.float32)
    if "invert" in words:
        gains *= np.where(random.random(count) < 0.5, np.float32(-1), np.float32(1))
    return Alterations(matrices, gains, offsets)


def make_alter(image_shape: tuple[int, int, int]) -> Callable[[np.ndarray, Alterations], np.ndarray]:
    """Compile (images uint8 [b, H, W, C], alterations of each) -> altered images uint8 [b, H, W, C], on the CPU."""
    specs = [tf.TensorSpec([None, *image_shape], tf.uint8)]
    specs += [tf.TensorSpec([None, *shape]) for shape in ((8,), (), image_shape[2:])]
    compiled = tf.function(_alter, input_signature=specs)

    def alter(images: np.ndarray, alterations: Alterations) -> np.ndarray:
        with tf.device("cpu"):
            return compiled(images, *alterations).numpy()

    return alter


class Augmented:
    """The n training images followed by their altered copies, indexed like `Rows`: uint8 [m, H, W, C].

    There are m = n * (1 + copies) rows, and row r is made from image r % n. All rows are a pure function of the images
    and `settings.seed`.
    """

    def __init__(
        self, images: Rows, settings: TrainSettings, shard: np.ndarray | None = None, total: int | None = None
    ):
        """images: the training images. Of the settings, `augment`, `augment_to` and `seed` are used.

        shard, total: if these are the images of one of several workers, their rows int64 [n] among all `total` images.
        """
        self.originals = images
        self._total = len(images) if total is None else total
        copies = settings.copies(self._total)
        self.shape = (len(images) * (1 + copies), *images.shape[1:])
        random = random_generator(settings.seed, Stream.ALTERED_COPIES)
        self._alterations = draw(self._total * copies, self.shape[1:], settings.augment, random)
        if shard is not None and len(shard) < self._total:
            own = (shard + self._total * np.arange(copies)[:, None]).ravel()
            self._alterations = self._alterations.take(own)
        self._alter = make_alter(self.shape[1:])

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: slice | np.ndarray) -> np.ndarray:
        """The rows of a slice, or of row numbers int64 [b] in any order."""
        rows = np.arange(len(self))[index] if isinstance(index, slice) else index
        n = len(self.originals)
        images = self.originals[rows % n]
        copied = np.flatnonzero(rows >= n)
        step = max(1, PART_BYTES // (4 * UPSCALING**2 * math.prod(self.shape[1:])))
        for start in range(0, len(copied), step):
            part = copied[start : start + step]
            images[part] = self._alter(images[part], self._alterations.take(rows[part] - n))
        return images

    def load(self, index: np.ndarray) -> np.ndarray:
        """Compute the rows `index`, int64 [b]: the counterpart of `Rows.load`."""
        return self[index]

    def codes(self, initial: Rows, total: Callable[[np.ndarray], np.ndarray] = lambda values: values) -> np.ndarray:
        """Initial codes float32 [m, d] of all rows. initial: those of the training images, float32 [n, d].

        total: sums an array over all workers.

        Each coordinate of a copy's code is a linear function of its pixels. Its direction is the covariance of the
        pixels with that coordinate over the training images; its scale and offset are such that the coordinate has the
        same mean and standard deviation. If the initial codes come from PCA, this function equals the PCA projection.
        """
        n, parts = len(self.originals), list(self._parts())
        originals = initial[:]
        mean = total(sum(_pixels(self.originals[part]).sum(axis=0) for part in parts)) / self._total
        code_mean = total(originals.sum(axis=0)) / self._total
        centred = originals - code_mean
        directions = total(sum((_pixels(self.originals[part]) - mean).T @ centred[part] for part in parts))
        directions /= np.maximum(np.linalg.norm(directions, axis=0), np.finfo(np.float32).tiny)
        projected = np.concatenate([(_pixels(self.originals[part]) - mean) @ directions for part in parts])

        def deviation(values: np.ndarray) -> np.ndarray:
            values = values - total(values.sum(axis=0)) / self._total
            return np.sqrt(total(np.square(values).sum(axis=0)) / self._total)

        scale = deviation(centred) / np.maximum(deviation(projected), np.finfo(np.float32).tiny)
        codes = np.empty((len(self), originals.shape[1]), np.float32)
        codes[:n] = originals
        for first in range(n, len(self), n):
            for part in parts:
                images = self[first + part.start : first + part.stop]
                codes[first + part.start : first + part.stop] = (_pixels(images) - mean) @ directions * scale
        codes[n:] += code_mean
        return codes

    def _parts(self) -> Iterator[slice]:
        """Slices of about `PART_BYTES` that cover the training images."""
        n = len(self.originals)
        step = max(1, PART_BYTES // (4 * math.prod(self.shape[1:])))
        return (slice(start, min(start + step, n)) for start in range(0, n, step))


def _matrices(count: int, size: tuple[int, int], move: bool, flip: bool, random: np.random.Generator) -> np.ndarray:
    """The affine maps from pixel (x, y) of a copy to its position in the enlarged image, float32 [count, 8].

    The eight values are those that `ImageProjectiveTransformV3` expects. The last two are 0. size: (height, width).
    """
    linear = np.broadcast_to(np.eye(2), (count, 2, 2)).copy()
    shift = np.zeros((count, 2))
    if move:
        turn, shear = TURN * random.standard_normal(count), SHEAR * random.standard_normal(count)
        stretch = np.exp(STRETCH * random.standard_normal((count, 2)))
        rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]).transpose(2, 0, 1)
        stretch_and_shear = np.zeros((count, 2, 2))
        stretch_and_shear[:, 0, 0], stretch_and_shear[:, 1, 1] = stretch[:, 0], stretch[:, 1]
        stretch_and_shear[:, 0, 1] = shear
        linear = rotation @ stretch_and_shear
        shift = random.uniform(-SHIFT, SHIFT, (count, 2)) * size[::-1]
    if flip:
        linear[:, :, 0] *= np.where(random.random(count) < 0.5, -1.0, 1.0)[:, None]
    # About the centre c of the image: x -> A (x - c) + c + shift. Pixel x lies at 2 x + 1/2 in the enlarged image.
    centre = (np.array(size[::-1]) - 1) / 2
    offset = centre + shift - linear @ centre
    rows = np.concatenate([UPSCALING * linear, (UPSCALING * offset + (UPSCALING - 1) / 2)[:, :, None]], axis=2)
    return np.concatenate([rows.reshape(count, 6), np.zeros((count, 2))], axis=1).astype(np.float32)


def _alter(images: tf.Tensor, matrices: tf.Tensor, gains: tf.Tensor, offsets: tf.Tensor) -> tf.Tensor:
    """Altered images uint8 [b, H, W, C].

    Each image is moved by its matrix (float32 [b, 8]), its contrast about its own mean is multiplied by |gain|
    (float32 [b]), it is inverted if the gain is negative, and its offsets (float32 [b, C]) are added.
    """
    height, width = images.shape[1:3]
    enlarged = tf.image.resize(tf.cast(images, tf.float32), (UPSCALING * height, UPSCALING * width), "bicubic")
    moved = tf.raw_ops.ImageProjectiveTransformV3(
        images=enlarged, transforms=matrices, output_shape=(height, width), interpolation="BILINEAR",
        fill_mode="REFLECT", fill_value=0.0,
    )  # fmt: skip
    gains, offsets = gains[:, None, None, None], offsets[:, None, None]
    mean = tf.reduce_mean(moved, axis=(1, 2, 3), keepdims=True)
    new_mean = tf.where(gains < 0, 255 - mean, mean)
    return tf.cast(tf.clip_by_value(tf.round(gains * (moved - mean) + new_mean + offsets), 0, 255), tf.uint8)


def _pixels(images: np.ndarray) -> np.ndarray:
    """Images uint8 [b, H, W, C] as float32 [b, H * W * C] in [0, 1]."""
    return images.reshape(len(images), -1).astype(np.float32) / 255
