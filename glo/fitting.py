"""Fitting: the codes of images that were not trained on, found with the generator frozen.

    z* = argmin over z in the projected set of  loss(g(z), x)
The problem is not convex, so each image starts from several codes: all of them race for a while, the best goes on.
"""

import math
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from glo.latents import adam, project
from glo.losses import Loss
from glo.neighbors import nearest
from glo.step import decode

NEAREST = 3  # starts from the codes of this many nearest training images, beside the mean code
RACE = 0.15  # share of the steps that all starts take
ALPHA = 20.0  # as --alpha, but larger than it, since the generator stands still


def starts(images: np.ndarray, train_images: np.ndarray, train_codes: np.ndarray) -> np.ndarray:
    """Codes to start from, float32 [n, s, d]: the mean code, and those of the nearest training images in pixels."""
    near = train_codes[nearest(images, train_images, NEAREST)]
    mean = np.broadcast_to(train_codes.mean(axis=0), (len(images), 1, train_codes.shape[1]))
    return np.concatenate([mean, near], axis=1).astype(np.float32)


def fit(
    generator: keras.Model,
    loss: Loss,
    projection: str,
    images: np.ndarray,
    starts: np.ndarray,
    steps: int,
    batch_size: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Fit codes to images uint8 [n, H, W, C] from starts float32 [n, s, d].

    Returns the best code met for each image, float32 [n, d], and its loss, float32 [n]. Deterministic.
    """
    descend = make_descent(generator, loss, projection)
    race = max(1, round(RACE * steps))
    codes, losses = [], []
    with tqdm(total=len(images), desc="fitting", unit="img", disable=None, leave=False) as bar:
        for first in range(0, len(images), batch_size):
            batch, from_codes = images[first : first + batch_size], starts[first : first + batch_size]
            n, s, d = from_codes.shape
            raced, reached = descend(from_codes.reshape(n * s, d), np.repeat(batch, s, axis=0), race)
            best = np.argmin(reached.numpy().reshape(n, s), axis=1)
            winner = raced.numpy().reshape(n, s, d)[np.arange(n), best]
            fitted, final = descend(winner, batch, steps - race)
            codes.append(fitted.numpy())
            losses.append(final.numpy())
            bar.update(n)
    return np.concatenate(codes), np.concatenate(losses)


def make_descent(
    generator: keras.Model, loss: Loss, projection: str
) -> Callable[[np.ndarray, np.ndarray, int], tuple[tf.Tensor, tf.Tensor]]:
    """Compile (codes float32 [B, d], images uint8 [B, H, W, C], steps) -> the best codes met and their losses [B]."""

    def evaluate(codes: tf.Tensor, target: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(codes)
            losses = loss(generator(codes, training=False), target)
        return losses, tape.gradient(losses, codes)

    @tf.function(reduce_retracing=True)
    def descend(codes: tf.Tensor, target: tf.Tensor, steps: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        best, best_losses = codes, loss(generator(codes, training=False), target)
        first, second = tf.zeros_like(codes), tf.zeros_like(codes)
        for step in tf.range(steps):
            losses, gradients = evaluate(codes, target)
            better = losses < best_losses
            best, best_losses = tf.where(better[:, None], codes, best), tf.where(better, losses, best_losses)
            visits = tf.fill(tf.shape(losses), step + 1)
            move, first, second = adam(first, second, visits, gradients)
            rate = ALPHA * (0.5 + 0.5 * tf.cos(math.pi * tf.cast(step, tf.float32) / tf.cast(steps, tf.float32)))
            codes = project(codes - rate * move, projection)
        losses = loss(generator(codes, training=False), target)
        better = losses < best_losses
        return tf.where(better[:, None], codes, best), tf.where(better, losses, best_losses)

    def run(codes: np.ndarray, images: np.ndarray, steps: int) -> tuple[tf.Tensor, tf.Tensor]:
        return descend(project(tf.constant(codes), projection), decode(images), tf.constant(steps))

    return run
