"""Separable linear filters of images, as one matrix for each axis.

On a CPU two matrix products are far faster than a depthwise convolution.
"""

import math
from functools import cache

import numpy as np
import tensorflow as tf


def planes(images: tf.Tensor) -> tf.Tensor:
    """[B, H, W, C] to [B, C, H, W], the order that `apply` takes."""
    return tf.transpose(images, (0, 3, 1, 2))


def apply(rows: np.ndarray, columns: np.ndarray, x: tf.Tensor) -> tf.Tensor:
    """rows @ x @ columns.T on the last two axes of x [B, C, H, W]."""
    # Not tf.matmul for the right factor: with one operand of rank 2 its oneDNN kernel crashes (TensorFlow 2.21).
    return tf.matmul(rows, tf.tensordot(x, columns, [[3], [1]]))


def box(n: int) -> tuple[float, ...]:
    """n equal taps that sum to 1."""
    return (1 / n,) * n


def gaussian(n: int, sigma: float) -> tuple[float, ...]:
    """n taps of a Gaussian, symmetric about their middle, that sum to 1."""
    taps = np.exp(-0.5 * np.square((np.arange(n) - (n - 1) / 2) / sigma))
    return tuple(taps / taps.sum())


@cache
def blur(n: int, sigma: float) -> np.ndarray:
    """float32 [n, n]: a Gaussian cut off at 2 sigma, along n pixels, those at the ends repeated beyond the border."""
    radius = math.ceil(2 * sigma)
    matrix = np.zeros((n, n), np.float32)
    for offset, weight in enumerate(gaussian(2 * radius + 1, sigma), -radius):
        np.add.at(matrix, (np.arange(n), np.clip(np.arange(n) + offset, 0, n - 1)), weight)
    return matrix


@cache
def windows(n: int, taps: tuple[float, ...], stride: int) -> np.ndarray:
    """float32 [m, n]: the taps at every `stride`-th pixel of an axis of n pixels, as often as they fit."""
    starts = np.arange(0, n - len(taps) + 1, stride)
    matrix = np.zeros((len(starts), n), np.float32)
    for offset, weight in enumerate(taps):
        matrix[np.arange(len(starts)), starts + offset] = weight
    return matrix


def halve(n: int) -> np.ndarray:
    """float32 [n // 2, n]: the mean of each pair of pixels; an odd last pixel is dropped."""
    return windows(n, box(2), 2)
