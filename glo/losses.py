"""Reconstruction losses, by name. Each takes prediction and target, float32 [B, H, W, C] in [-1, 1], to losses [B].

Every sample has a loss of its own, a mean over its pixels, because every code follows its own (section 3 of the paper).
"""

from collections.abc import Callable
from functools import cache

import numpy as np
import tensorflow as tf

Loss = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]

LEVELS = 3
TAPS = np.exp(-0.5 * np.arange(-2, 3) ** 2)  # 5 taps of a Gaussian with sigma 1


def mse(prediction: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Mean squared error."""
    return tf.reduce_mean(tf.square(prediction - target), axis=(1, 2, 3))


def l1(prediction: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Mean absolute error."""
    return tf.reduce_mean(tf.abs(prediction - target), axis=(1, 2, 3))


def lap_l1(prediction: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """L1 distance of Laplacian pyramids (equation 3 of the paper), level means summed without weights.

    Level i is x_i - blur(x_i) with x_{i+1} = halve(blur(x_i)), and the last one is x_3 itself. The pyramid is linear,
    so it is taken once, of the difference.
    """
    # Blurring and halving along one axis is a matrix product, far faster than depthwise convolutions on a CPU.
    rest = tf.transpose(prediction - target, (0, 3, 1, 2))
    total = tf.zeros(tf.shape(rest)[0])
    for _ in range(LEVELS):
        height, width = rest.shape[2:]
        if min(height, width) < 2:
            break
        blurred = _apply(_blur(height), _blur(width), rest)
        total += tf.reduce_mean(tf.abs(rest - blurred), axis=(1, 2, 3))
        rest = _apply(_halve(height), _halve(width), blurred)
    return total + tf.reduce_mean(tf.abs(rest), axis=(1, 2, 3))


LOSSES: dict[str, Loss] = {"mse": mse, "l1": l1, "lap_l1": lap_l1}


def _apply(rows: np.ndarray, columns: np.ndarray, x: tf.Tensor) -> tf.Tensor:
    """rows @ x @ columns.T on the last two axes of x [B, C, H, W]."""
    # Not tf.matmul for the right factor: with one operand of rank 2 its oneDNN kernel crashes (TensorFlow 2.21).
    return tf.matmul(rows, tf.tensordot(x, columns, [[3], [1]]))


@cache
def _blur(n: int) -> np.ndarray:
    """float32 [n, n]: the Gaussian along an axis of n pixels, edge pixels repeated beyond the border."""
    matrix = np.zeros((n, n), np.float32)
    for offset, weight in zip(range(-2, 3), TAPS / TAPS.sum(), strict=True):
        np.add.at(matrix, (np.arange(n), np.clip(np.arange(n) + offset, 0, n - 1)), weight)
    return matrix


@cache
def _halve(n: int) -> np.ndarray:
    """float32 [n // 2, n]: the mean of each pair of pixels; an odd last pixel is dropped."""
    matrix = np.zeros((n // 2, n), np.float32)
    matrix[np.arange(n // 2), 2 * np.arange(n // 2)] = 0.5
    matrix[np.arange(n // 2), 2 * np.arange(n // 2) + 1] = 0.5
    return matrix
