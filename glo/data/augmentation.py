"""Altered copies of the training images, each with a code of its own: how a generator learns more from few images.

Where an image has an encoder or a label, it can be altered anew at each visit. Here the code says what the image is, so
a copy is one more row of the code table, and looks the same at each visit. Copies are made as they are needed: only
their parameters are kept.
"""

import math
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from glo.data.lazy_array import Rows
from glo.data.randomness import Stream, random_generator
from glo.settings import TrainSettings

TURN, STRETCH, SHEAR, SHIFT = 0.06, 0.12, 0.1, 0.1  # deviations of radians, log, tangent; most, as a share of the side
CONTRAST, BRIGHTNESS, TINT = 0.25, 0.1, 0.025  # deviations of log, and of shares of white
DOUBLED = 2  # moved pixels are read off the image at twice its size, which keeps it sharp
PART_BYTES = 1 << 24


class Augmented:
    """The n training images, and after them their copies: of the m = n (1 + copies) rows, row r is made of image r % n.

    Indexed like `Rows`: uint8 [m, H, W, C]. A pure function of the images and the settings' `seed`.
    """

    def __init__(self, images: Rows, settings: TrainSettings):
        self.originals = images
        self.shape = (len(images) * (1 + settings.copies(len(images))), *images.shape[1:])
        names = settings.augment.split(",")
        random = random_generator(settings.seed, Stream.ALTERED_COPIES)
        count, channels = len(self) - len(images), self.shape[3]
        self._matrices = _matrices(count, self.shape[1:3], "move" in names, "flip" in names, random)
        self._gains, self._offsets = np.ones(count, np.float32), np.zeros((count, channels), np.float32)
        if "color" in names:
            self._gains *= np.exp(CONTRAST * random.standard_normal(count, np.float32))
            self._offsets += 255 * BRIGHTNESS * random.standard_normal((count, 1), np.float32)
            if channels > 1:
                self._offsets += 255 * TINT * random.standard_normal((count, channels), np.float32)
        if "invert" in names:
            self._gains *= np.where(random.random(count) < 0.5, np.float32(-1), np.float32(1))
        kinds = [tf.TensorSpec([None, *self.shape[1:]], tf.uint8)]
        kinds += [tf.TensorSpec([None, *array.shape[1:]]) for array in (self._matrices, self._gains, self._offsets)]
        self._alter = tf.function(_alter, input_signature=kinds)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: slice | np.ndarray) -> np.ndarray:
        """The rows of a slice, or of row numbers int64 [b] in any order."""
        rows = np.arange(len(self))[index] if isinstance(index, slice) else index
        n = len(self.originals)
        images = self.originals[rows % n]
        altered = np.flatnonzero(rows >= n)
        step = max(1, PART_BYTES // (4 * DOUBLED**2 * math.prod(self.shape[1:])))
        for start in range(0, len(altered), step):
            part = altered[start : start + step]
            copies = rows[part] - n
            with tf.device("cpu"):
                made = self._alter(images[part], self._matrices[copies], self._gains[copies], self._offsets[copies])
            images[part] = made.numpy()
        return images

    def held(self, index: np.ndarray) -> np.ndarray:
        """Some of the rows, made now."""
        return self[index]

    def codes(self, initial: Rows) -> np.ndarray:
        """Initial codes float32 [m, d] of all rows, from those of the training images, float32 [n, d].

        Coordinate j of a copy's code is linear in its pixels: along their covariance with coordinate j over all
        training images, of the same mean and deviation. For codes from PCA that is the very map they came from.
        """
        n, parts = len(self.originals), list(self._parts())
        known, mean = initial[:], sum(_pixels(self.originals[part]).sum(axis=0) for part in parts) / n
        centred = known - known.mean(axis=0)
        directions = sum((_pixels(self.originals[part]) - mean).T @ centred[part] for part in parts)
        directions /= np.maximum(np.linalg.norm(directions, axis=0), np.finfo(np.float32).tiny)
        along = np.concatenate([(_pixels(self.originals[part]) - mean) @ directions for part in parts])
        scale = centred.std(axis=0) / np.maximum(along.std(axis=0), np.finfo(np.float32).tiny)
        codes = np.empty((len(self), known.shape[1]), np.float32)
        codes[:n] = known
        for first in range(n, len(self), n):
            for part in parts:
                images = self[first + part.start : first + part.stop]
                codes[first + part.start : first + part.stop] = (_pixels(images) - mean) @ directions * scale
        codes[n:] += known.mean(axis=0)
        return codes

    def _parts(self) -> Iterator[slice]:
        """Slices that cover the training images."""
        n = len(self.originals)
        step = max(1, PART_BYTES // (4 * math.prod(self.shape[1:])))
        return (slice(start, min(start + step, n)) for start in range(0, n, step))


def _matrices(count: int, size: tuple[int, int], move: bool, flip: bool, random: np.random.Generator) -> np.ndarray:
    """Where pixel (x, y) of a copy comes from in its image at twice the size: float32 [count, 8], as
    `ImageProjectiveTransformV3` takes them, the last two 0."""
    linear = np.broadcast_to(np.eye(2), (count, 2, 2)).copy()
    shift = np.zeros((count, 2))
    if move:
        turn, shear = TURN * random.standard_normal(count), SHEAR * random.standard_normal(count)
        stretch = np.exp(STRETCH * random.standard_normal((count, 2)))
        rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]).transpose(2, 0, 1)
        stretched = np.zeros((count, 2, 2))
        stretched[:, 0, 0], stretched[:, 1, 1], stretched[:, 0, 1] = stretch[:, 0], stretch[:, 1], shear
        linear = rotation @ stretched
        shift = random.uniform(-SHIFT, SHIFT, (count, 2)) * size[::-1]
    if flip:
        linear[:, :, 0] *= np.where(random.random(count) < 0.5, -1.0, 1.0)[:, None]
    # About the centre c of the image: x -> A (x - c) + c + shift; pixel x lies at 2 x + 1/2 of the doubled image.
    centre = (np.array(size[::-1]) - 1) / 2
    offset = centre + shift - linear @ centre
    rows = np.concatenate([DOUBLED * linear, (DOUBLED * offset + (DOUBLED - 1) / 2)[:, :, None]], axis=2)
    return np.concatenate([rows.reshape(count, 6), np.zeros((count, 2))], axis=1).astype(np.float32)


def _alter(images: tf.Tensor, matrices: tf.Tensor, gains: tf.Tensor, offsets: tf.Tensor) -> tf.Tensor:
    """uint8 [b, H, W, C]: moved; contrast about each one's mean times |gain|, inverted if that is negative."""
    height, width = images.shape[1:3]
    doubled = tf.image.resize(tf.cast(images, tf.float32), (DOUBLED * height, DOUBLED * width), "bicubic")
    moved = tf.raw_ops.ImageProjectiveTransformV3(
        images=doubled, transforms=matrices, output_shape=(height, width), interpolation="BILINEAR",
        fill_mode="REFLECT", fill_value=0.0,
    )  # fmt: skip
    gains, offsets = gains[:, None, None, None], offsets[:, None, None]
    mean = tf.reduce_mean(moved, axis=(1, 2, 3), keepdims=True)
    middle = tf.where(gains < 0, 255 - mean, mean)
    return tf.cast(tf.clip_by_value(tf.round(gains * (moved - mean) + middle + offsets), 0, 255), tf.uint8)


def _pixels(images: np.ndarray) -> np.ndarray:
    """float32 [b, H * W * C] in [0, 1]."""
    return images.reshape(len(images), -1).astype(np.float32) / 255
