"""What rates and noise are at a step: a factor on their full values."""

import math

import tensorflow as tf

WARM_UP = 0.02  # share of the learning steps in which the rates rise to their full values


def rate_factor(step: tf.Tensor, learned: int, schedule: str) -> tf.Tensor:
    """The share of the full rates at a step (0 is the first): 1, or a linear warm-up and a cosine to 0 at `learned`."""
    if schedule == "constant":
        return tf.constant(1.0)
    position = tf.cast(step, tf.float32) + 1
    warm_up = max(1.0, WARM_UP * learned)
    progress = tf.clip_by_value((position - warm_up) / max(1.0, learned + 1 - warm_up), 0.0, 1.0)
    return tf.minimum(position / warm_up, _cosine(progress))


def noise_factor(step: tf.Tensor, learned: int, schedule: str) -> tf.Tensor:
    """The share of the full code noise at a step: 1, or falling to 0 at `learned` along a line or half a cosine."""
    progress = tf.minimum(tf.cast(step, tf.float32) / learned, 1.0)
    return {"constant": tf.ones_like(progress), "linear": 1 - progress, "cosine": _cosine(progress)}[schedule]


def descent_factor(update: tf.Tensor, updates: int | tf.Tensor) -> tf.Tensor:
    """The share of the full rate at one of the updates that a code takes while the generator stands still: 1 to 0."""
    return _cosine(tf.cast(update, tf.float32) / tf.cast(updates, tf.float32))


def _cosine(progress: tf.Tensor) -> tf.Tensor:
    return 0.5 + 0.5 * tf.cos(math.pi * progress)
