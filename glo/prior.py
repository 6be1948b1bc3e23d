"""A prior on codes: how unlikely a code is among the learned ones, for images that do not tell their codes fully."""

import numpy as np
import tensorflow as tf

FLOOR = 1e-3  # of the mean variance, added to every one: fewer codes than dimensions leave some without any


class GaussianPrior:
    """weight * -log N(z; m, S) / d up to a constant, m and S fitted to learned codes [N, d] by maximum likelihood:

        weight * (z - m)' S^-1 (z - m) / (2 d)

    half the squared Mahalanobis distance per dimension, about weight / 2 for a typical code. S is the covariance (over
    N) with `FLOOR` times its mean variance added to the diagonal.
    """

    def __init__(self, codes: np.ndarray, weight: float):
        codes = codes.astype(np.float64)
        covariance = np.atleast_2d(np.cov(codes, rowvar=False, bias=True))
        ridge = max(FLOOR * np.trace(covariance) / len(covariance), np.finfo(np.float32).tiny)
        variances, axes = np.linalg.eigh(covariance + ridge * np.eye(len(covariance)))
        scale = np.sqrt(weight / (2 * len(variances) * variances))
        self.mean = codes.mean(axis=0).astype(np.float32)
        self.whitening = (axes * scale).astype(np.float32)

    def __call__(self, codes: tf.Tensor) -> tf.Tensor:
        """Codes float32 [B, d] -> what each adds to its image's loss, float32 [B]."""
        return tf.reduce_sum(tf.square(tf.matmul(codes - self.mean, self.whitening)), axis=1)
