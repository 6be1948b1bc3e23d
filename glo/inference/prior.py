"""A prior on codes: how unlikely a code is among the learned ones, for images that do not tell their codes fully."""

import numpy as np
import tensorflow as tf

from glo.samplers.gaussian import Gaussian

FLOOR = 1e-3  # of the mean variance, added to every one: fewer codes than dimensions leave some without any


class GaussianPrior:
    """weight * -log N(z; m, S) / d up to a constant, of the Gaussian that is fitted to the learned codes:

        weight * (z - m)' S^-1 (z - m) / (2 d)

    half the squared Mahalanobis distance per dimension, about weight / 2 for a typical code. S is the covariance with
    `FLOOR` times its mean variance added to the diagonal.
    """

    def __init__(self, gaussian: Gaussian, weight: float):
        variances, axes = np.linalg.eigh(gaussian.covariance)
        variances = np.maximum(variances, 0) + max(FLOOR * variances.mean(), np.finfo(np.float32).tiny)
        self.mean = gaussian.mean.astype(np.float32)
        self.whitening = (axes * np.sqrt(weight / (2 * len(variances) * variances))).astype(np.float32)

    def __call__(self, codes: tf.Tensor) -> tf.Tensor:
        """Codes float32 [B, d] -> what each adds to its image's loss, float32 [B]."""
        return tf.reduce_sum(tf.square(tf.matmul(codes - self.mean, self.whitening)), axis=1)
