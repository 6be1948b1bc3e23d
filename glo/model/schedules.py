"""Schedules of the step sizes and of the code noise: factors by which their full values are multiplied."""

import math

import tensorflow as tf

WARM_UP = 0.02  # share of the training steps in which the step sizes rise to their full values


def rate_factor(step: tf.Tensor, learning_steps: int, schedule: str) -> tf.Tensor:
    """Factor on both step sizes, a float32 scalar, at a step counted from 0.

    learning_steps: number of steps in which the generator is trained. schedule: `constant` (always 1), or `cosine`: a
    linear warm-up, then half a cosine down to 0 at `learning_steps`.
    """
    if schedule == "constant":
        return tf.constant(1.0)
    position = tf.cast(step, tf.float32) + 1
    warm_up = max(1.0, WARM_UP * learning_steps)
    progress = tf.clip_by_value((position - warm_up) / max(1.0, learning_steps + 1 - warm_up), 0.0, 1.0)
    return tf.minimum(position / warm_up, _cosine(progress))


def noise_factor(step: tf.Tensor, learning_steps: int, schedule: str) -> tf.Tensor:
    """Factor on the standard deviation of the code noise, a float32 scalar, at a step counted from 0.

    schedule: `constant` (always 1), or down to 0 at `learning_steps` along a line (`linear`) or half a cosine
    (`cosine`).
    """
    progress = tf.minimum(tf.cast(step, tf.float32) / learning_steps, 1.0)
    return {"constant": tf.ones_like(progress), "linear": 1 - progress, "cosine": _cosine(progress)}[schedule]


def descent_factor(update: tf.Tensor, updates: int | tf.Tensor) -> tf.Tensor:
    """Factor on alpha, from 1 down towards 0, at an update (counted from 0) of codes while the generator is frozen."""
    return _cosine(tf.cast(update, tf.float32) / tf.cast(updates, tf.float32))


def _cosine(progress: tf.Tensor) -> tf.Tensor:
    return 0.5 + 0.5 * tf.cos(math.pi * progress)
