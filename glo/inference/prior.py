"""A prior on codes: how unlikely a code is among the learned ones. It helps where an image does not determine its code.

Damaged images, with a hole or with noise, are fitted with it.
"""

import numpy as np
import tensorflow as tf

from glo.samplers.gaussian import Gaussian

FLOOR = 1e-3  # share of the mean variance that is added to all: some are 0 with fewer codes than dimensions


class GaussianPrior:
    """Negative log density of the Gaussian fitted to the learned codes, per dimension and up to a constant:

        weight * (z - m)' S^-1 (z - m) / (2 d)

    This is half the squared Mahalanobis distance per dimension times `weight`, about weight / 2 for a typical code. S
    is the covariance with `FLOOR` times its mean variance added to the diagonal.
    """

    def __init__(self, gaussian: Gaussian, weight: float):
        variances, axes = np.linalg.eigh(gaussian.covariance)
        variances = np.maximum(variances, 0) + max(FLOOR * variances.mean(), np.finfo(np.float32).tiny)
        self.mean = gaussian.mean.astype(np.float32)
        self.whitening = (axes * np.sqrt(weight / (2 * len(variances) * variances))).astype(np.float32)

    def __call__(self, codes: tf.Tensor) -> tf.Tensor:
        """Term that each code of float32 [B, d] adds to the loss of its image, float32 [B]."""
        return tf.reduce_sum(tf.square(tf.matmul(codes - self.mean, self.whitening)), axis=1)
