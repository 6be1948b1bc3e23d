"""Normal noise for rows of the code table that depends on each row alone, not on the other rows of a batch.

TensorFlow's stateless generators draw an array from one seed, so that a value depends on its position in the array.
Here every value has a counter, which is hashed: several workers, each with its part of a batch, draw what one would.
"""

import numpy as np
import tensorflow as tf
from tensorflow.bitwise import bitwise_xor as xor
from tensorflow.bitwise import right_shift as shift_right

# SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): the increment of its counter, and the constants of its hash.
GAMMA, MULTIPLIERS, SHIFTS = 0x9E3779B97F4A7C15, (0xBF58476D1CE4E5B9, 0x94D049BB133111EB), (30, 27, 31)


def row_normal(key: tf.Tensor, rows: tf.Tensor, dimension: int) -> tf.Tensor:
    """Standard normal values float32 [B, dimension], a pure function of the key and of each row.

    key: int64 or int32 [2]. rows: int64 [B].
    """
    with tf.device("cpu"):  # other devices lack operations on 64 bits
        first, second = tf.unstack(tf.cast(key, tf.uint64))
        counters = tf.cast(rows[:, None] * dimension + tf.range(dimension, dtype=tf.int64), tf.uint64)
        bits = _hash(xor(_hash(counters * _uint64(GAMMA) + _hash(first)), _hash(_hash(second))))
        radius, angle = _uniform(shift_right(bits, _uint64(40))), _uniform(bits % _uint64(1 << 24))
        return tf.sqrt(-2 * tf.math.log(radius)) * tf.cos(2 * np.pi * angle)  # Box and Muller (1958)


def _uniform(bits: tf.Tensor) -> tf.Tensor:
    """Integers of 24 bits as float32 in (0, 1)."""
    return (tf.cast(bits, tf.float32) + 0.5) * 2.0**-24


def _hash(values: tf.Tensor) -> tf.Tensor:
    for shift, multiplier in zip(SHIFTS[:2], MULTIPLIERS, strict=True):
        values = xor(values, shift_right(values, _uint64(shift))) * _uint64(multiplier)
    return xor(values, shift_right(values, _uint64(SHIFTS[2])))


def _uint64(value: int) -> tf.Tensor:
    return tf.constant(value, tf.uint64)
