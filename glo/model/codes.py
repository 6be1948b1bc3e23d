"""The code table: one learnable code per training image, updated and projected row by row (section 3 of the paper)."""

import numpy as np
import tensorflow as tf

from glo.data.lazy_array import Rows

# Adam moves every coordinate by about its learning rate, whatever the size of the gradient, so that the rate must be
# small compared with the unit ball. With this factor, values of alpha that are usual for SGD, such as 5 or 10, suit
# Adam as well.
ADAM_SCALE = 0.001
BETA_1, BETA_2, EPSILON = 0.5, 0.9, 1e-8
BLOCK = 1 << 16  # rows of the table that are filled, saved or restored at once


def project(codes: tf.Tensor, projection: str) -> tf.Tensor:
    """Project each code of float32 [..., d]: `ball` z / max(1, |z|), `sphere` z / |z|, `none` unchanged."""
    if projection == "none":
        return codes
    norms = tf.norm(codes, axis=-1, keepdims=True)
    return codes / tf.maximum(norms, 1.0 if projection == "ball" else np.finfo(np.float32).tiny)


def unset(n: int, dimension: int) -> np.ndarray:
    """Zero codes, float32 [n, d], that take no memory: the initial codes of a table that a checkpoint will fill."""
    return np.broadcast_to(np.float32(0), (n, dimension))


class CodeTable(tf.Module):
    """The codes, float32 [N, d], and the state of their optimizer, row by row.

    A step reads and writes only the rows of its batch. Adam's bias correction counts the updates of each row, not the
    steps of the run, because a row is updated once an epoch. The table stays in host memory, since it may not fit into
    the memory of the device: only the rows of the batch are copied to the device.
    """

    def __init__(self, initial: np.ndarray | Rows, optimizer: str, projection: str):
        """initial: float32 [N, d]. optimizer: `sgd` or `adam`. projection: `ball`, `sphere` or `none`."""
        super().__init__(name="codes")
        self.projection = projection
        with tf.device("cpu"):
            self.codes = tf.Variable(tf.zeros(initial.shape), trainable=False, name="codes")
            for start in range(0, len(initial), BLOCK):  # in blocks, so that memory never holds a second table
                block = project(tf.constant(initial[start : start + BLOCK], tf.float32), projection)
                self.codes[start : start + BLOCK].assign(block)
            if optimizer == "adam":
                self.first = tf.Variable(tf.zeros(initial.shape), trainable=False, name="first_moment")
                self.second = tf.Variable(tf.zeros(initial.shape), trainable=False, name="second_moment")
                self.visits = tf.Variable(tf.zeros(len(initial), tf.int32), trainable=False, name="visits")
        self._descend = {"sgd": self._sgd, "adam": self._adam}[optimizer]

    def gather(self, rows: tf.Tensor) -> tf.Tensor:
        """Return the codes of `rows` (int64 [B], without repetitions), float32 [B, d]."""
        return tf.gather(self.codes, rows)

    def update(self, rows: tf.Tensor, codes: tf.Tensor, gradients: tf.Tensor, alpha: tf.Tensor) -> None:
        """Take one optimizer step with the codes of `rows`, then project them.

        rows: int64 [B], without repetitions. codes: their current codes, float32 [B, d].
        gradients: float32 [B, d], of each code's own loss, not divided by B. alpha: step size, a scalar.
        """
        self.assign(rows, project(self._descend(rows, codes, gradients, alpha), self.projection))

    def assign(self, rows: tf.Tensor, codes: tf.Tensor) -> None:
        """Replace the codes of `rows` (int64 [B]) by codes float32 [B, d], which are not projected."""
        self.codes.scatter_update(tf.IndexedSlices(codes, rows))

    def _sgd(self, rows: tf.Tensor, codes: tf.Tensor, gradients: tf.Tensor, alpha: tf.Tensor) -> tf.Tensor:
        return codes - alpha * gradients

    def _adam(self, rows: tf.Tensor, codes: tf.Tensor, gradients: tf.Tensor, alpha: tf.Tensor) -> tf.Tensor:
        visits = tf.gather(self.visits, rows) + 1
        step, first, second = adam(tf.gather(self.first, rows), tf.gather(self.second, rows), visits, gradients)
        for slot, values in ((self.visits, visits), (self.first, first), (self.second, second)):
            slot.scatter_update(tf.IndexedSlices(values, rows))
        return codes - alpha * step


def adam(
    first: tf.Tensor, second: tf.Tensor, visits: tf.Tensor, gradients: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """One step of Adam (Kingma and Ba, 2015) for codes, each with its own number of updates.

    first, second: moments, float32 [B, d]. visits: int32 [B], number of updates of each code, including this one.
    gradients: float32 [B, d].
    Returns the step to subtract, float32 [B, d], for an alpha of 1, and the new moments.
    """
    first = BETA_1 * first + (1 - BETA_1) * gradients
    second = BETA_2 * second + (1 - BETA_2) * tf.square(gradients)
    count = tf.cast(visits, tf.float32)[:, None]
    unbiased_first, unbiased_second = first / (1 - BETA_1**count), second / (1 - BETA_2**count)
    return ADAM_SCALE * unbiased_first / (tf.sqrt(unbiased_second) + EPSILON), first, second
