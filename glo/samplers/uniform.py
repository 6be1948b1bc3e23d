"""Uniform variables from normal ones, with which `transform` of a sampler chooses one of several components."""

import tensorflow as tf


def standard_normal_cdf(noise: tf.Tensor) -> tf.Tensor:
    """Map standard normal variables float32 [n] to uniform variables float32 [n] in [0, 1]."""
    return 0.5 * tf.math.erfc(-noise / tf.sqrt(2.0))
