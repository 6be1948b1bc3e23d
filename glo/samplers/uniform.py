"""Uniform numbers of normal noise: how a sampler that chooses among components becomes a function of noise alone."""

import tensorflow as tf


def standard_normal_cdf(noise: tf.Tensor) -> tf.Tensor:
    """Standard normal noise float32 [n] to uniform numbers float32 [n] in [0, 1]."""
    return 0.5 * tf.math.erfc(-noise / tf.sqrt(2.0))
