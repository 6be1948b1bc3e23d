"""The code table: one learnable code per training image, moved and projected row by row."""

import numpy as np
import tensorflow as tf

from glo.data.lazy_array import Rows

# Adam moves every coordinate by about its rate whatever the gradient's size: in the unit ball that must be small. One
# alpha in thousandths lets values that are usual for gradient steps, such as 5 or 10, suit Adam as well.
ADAM_SCALE = 0.001
BETA_1, BETA_2, EPSILON = 0.5, 0.9, 1e-8
BLOCK = 1 << 16  # rows


def project(codes: tf.Tensor, projection: str) -> tf.Tensor:
    """Project each row of float32 [..., d]: `ball` z / max(1, |z|), `sphere` z / |z|, `none` unchanged."""
    if projection == "none":
        return codes
    norms = tf.norm(codes, axis=-1, keepdims=True)
    return codes / tf.maximum(norms, 1.0 if projection == "ball" else np.finfo(np.float32).tiny)


def unset(n: int, dimension: int) -> np.ndarray:
    """Codes of zeros, float32 [n, d], that take no memory: those of a table that a checkpoint fills."""
    return np.broadcast_to(np.float32(0), (n, dimension))


class CodeTable(tf.Module):
    """Codes float32 [N, d], and what their optimizer remembers of each row.

    A step reads and writes the rows of the batch alone: rows outside it do not move, and Adam's bias correction counts
    the visits of the row, not the steps of the run, since most rows are seen once an epoch. The table stays in host
    memory, since it may be larger than the device's: only the rows of the batch travel.
    """

    def __init__(self, initial: np.ndarray | Rows, optimizer: str, projection: str):
        super().__init__(name="codes")
        self.projection = projection
        with tf.device("cpu"):
            self.codes = tf.Variable(tf.zeros(initial.shape), trainable=False, name="codes")
            for start in range(0, len(initial), BLOCK):  # never a second table in memory
                part = project(tf.constant(initial[start : start + BLOCK], tf.float32), projection)
                self.codes[start : start + BLOCK].assign(part)
            if optimizer == "adam":
                self.first = tf.Variable(tf.zeros(initial.shape), trainable=False, name="first_moment")
                self.second = tf.Variable(tf.zeros(initial.shape), trainable=False, name="second_moment")
                self.visits = tf.Variable(tf.zeros(len(initial), tf.int32), trainable=False, name="visits")
        self._move = {"sgd": self._sgd, "adam": self._adam}[optimizer]

    def gather(self, rows: tf.Tensor) -> tf.Tensor:
        """The codes of the given rows (int64 [B], each at most once), float32 [B, d]."""
        return tf.gather(self.codes, rows)

    def update(self, rows: tf.Tensor, codes: tf.Tensor, gradients: tf.Tensor, alpha: tf.Tensor) -> None:
        """Move the codes of the given rows against the gradients of their own losses, float32 [B, d]; project them."""
        self.assign(rows, project(self._move(rows, codes, gradients, alpha), self.projection))

    def assign(self, rows: tf.Tensor, codes: tf.Tensor) -> None:
        """Replace the codes of the given rows."""
        self.codes.scatter_update(tf.IndexedSlices(codes, rows))

    def _sgd(self, rows: tf.Tensor, codes: tf.Tensor, gradients: tf.Tensor, alpha: tf.Tensor) -> tf.Tensor:
        return codes - alpha * gradients

    def _adam(self, rows: tf.Tensor, codes: tf.Tensor, gradients: tf.Tensor, alpha: tf.Tensor) -> tf.Tensor:
        visits = tf.gather(self.visits, rows) + 1
        move, first, second = adam(tf.gather(self.first, rows), tf.gather(self.second, rows), visits, gradients)
        for slot, values in ((self.visits, visits), (self.first, first), (self.second, second)):
            slot.scatter_update(tf.IndexedSlices(values, rows))
        return codes - alpha * move


def adam(
    first: tf.Tensor, second: tf.Tensor, visits: tf.Tensor, gradients: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """One Adam update of rows: the move for an alpha of 1, float32 [B, d], and the new moments.

    visits: int32 [B], how often each row has been moved, this time included.
    """
    first = BETA_1 * first + (1 - BETA_1) * gradients
    second = BETA_2 * second + (1 - BETA_2) * tf.square(gradients)
    count = tf.cast(visits, tf.float32)[:, None]
    unbiased_first, unbiased_second = first / (1 - BETA_1**count), second / (1 - BETA_2**count)
    return ADAM_SCALE * unbiased_first / (tf.sqrt(unbiased_second) + EPSILON), first, second
