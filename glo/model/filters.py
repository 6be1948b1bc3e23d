"""Separable linear filters of images, written as one matrix for each axis.

On a CPU, two matrix products are far faster than a depthwise convolution.
"""

import math
from functools import cache

import numpy as np
import tensorflow as tf


def planes(images: tf.Tensor) -> tf.Tensor:
    """Transpose images [B, H, W, C] to [B, C, H, W], the order of axes that `apply` expects."""
    return tf.transpose(images, (0, 3, 1, 2))


def apply(rows: np.ndarray, columns: np.ndarray, x: tf.Tensor) -> tf.Tensor:
    """Filter both axes of images: rows [h, H] @ x [B, C, H, W] @ columns [w, W] transposed, [B, C, h, w]."""
    # tensordot for the second product: tf.matmul with a right operand of rank 2 crashes in oneDNN (TensorFlow 2.21).
    return tf.matmul(rows, tf.tensordot(x, columns, [[3], [1]]))


def box(n: int) -> tuple[float, ...]:
    """n equal taps that sum to 1."""
    return (1 / n,) * n


def gaussian(n: int, sigma: float) -> tuple[float, ...]:
    """n taps of a Gaussian with standard deviation sigma (in taps), centred, that sum to 1."""
    taps = np.exp(-0.5 * np.square((np.arange(n) - (n - 1) / 2) / sigma))
    return tuple(taps / taps.sum())


@cache
def blur(n: int, sigma: float) -> np.ndarray:
    """Matrix float32 [n, n] that blurs n pixels by a Gaussian truncated at 2 sigma, with the border pixels repeated."""
    radius = math.ceil(2 * sigma)
    matrix = np.zeros((n, n), np.float32)
    for offset, weight in enumerate(gaussian(2 * radius + 1, sigma), -radius):
        np.add.at(matrix, (np.arange(n), np.clip(np.arange(n) + offset, 0, n - 1)), weight)
    return matrix


@cache
def windows(n: int, taps: tuple[float, ...], stride: int) -> np.ndarray:
    """Matrix float32 [m, n] that applies the taps at every `stride`-th of n pixels, at the m places where they fit."""
    starts = np.arange(0, n - len(taps) + 1, stride)
    matrix = np.zeros((len(starts), n), np.float32)
    for offset, weight in enumerate(taps):
        matrix[np.arange(len(starts)), starts + offset] = weight
    return matrix


def halve(n: int) -> np.ndarray:
    """Matrix float32 [n // 2, n] that averages pairs of pixels; if n is odd, the last pixel is dropped."""
    return windows(n, box(2), 2)
