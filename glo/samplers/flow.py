"""Rectified flow from noise to codes (Liu, Gong, Liu, ICLR 2023).

On the straight lines x_t = (1 - t) noise + t code the network is fitted to v(x_t, t) = code - noise in the mean square.
Following v from noise at t = 0 to t = 1 gives codes.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import tensorflow as tf

from glo.samplers import network
from glo.samplers.whitening import Whitening

WIDTH = 512
FEATURES = 32  # cosines of t
STEPS, BATCH = 4000, 256
DRAWN_STEPS = 50  # of Heun's method
DRAWN_BATCH = 2048


@dataclass(frozen=True)
class Flow:
    """Whitening (mean [d], root [d, d]), and the network of velocities in its coordinates."""

    mean: np.ndarray
    root: np.ndarray
    first: np.ndarray
    first_bias: np.ndarray
    inner: np.ndarray
    inner_bias: np.ndarray
    last: np.ndarray
    last_bias: np.ndarray

    SHAPES: ClassVar = {"mean": "d", "root": "dd", **network.SHAPES}

    @classmethod
    def fit(cls, codes: np.ndarray, seed: int) -> "Flow":
        whitening = Whitening.fit(codes)
        white = whitening.apply(codes)
        random = np.random.default_rng([seed, 9])
        d = white.shape[1]

        def batches(step, parameters):
            noise, times = random.standard_normal((BATCH, d), np.float32), random.random((BATCH, 1), np.float32)
            return white[random.integers(len(white), size=BATCH)], noise, times

        def loss(parameters, targets, noise, times):
            between = (1 - times) * noise + times * targets
            return tf.reduce_mean(tf.square(_velocity(between, times, FEATURES, parameters) - (targets - noise)))

        start = network.initial(d + FEATURES, WIDTH, d, random)
        return cls(whitening.mean, whitening.root, *network.train(start, loss, batches, STEPS))

    def draw(self, n: int, random: np.random.Generator) -> np.ndarray:
        parameters = [tf.constant(getattr(self, name)) for name in network.SHAPES]
        features = self.first.shape[0] - len(self.mean)

        @tf.function(input_signature=[tf.TensorSpec([None, len(self.mean)], tf.float32)])
        def integrated(x):
            h = 1 / DRAWN_STEPS
            for step in tf.range(DRAWN_STEPS):
                t = tf.fill([tf.shape(x)[0], 1], tf.cast(step, tf.float32) * h)
                slope = _velocity(x, t, features, parameters)
                x += h / 2 * (slope + _velocity(x + h * slope, t + h, features, parameters))
            return x

        noise = random.standard_normal((n, len(self.mean)), np.float32)
        parts = [integrated(noise[i : i + DRAWN_BATCH]).numpy() for i in range(0, n, DRAWN_BATCH)]
        return Whitening(self.mean, self.root).undo(np.concatenate(parts))

    def log_likelihood(self, codes: np.ndarray) -> None:
        return None


def _velocity(x: tf.Tensor, t: tf.Tensor, features: int, parameters: network.Parameters) -> tf.Tensor:
    """float32 [n, d] at positions [n, d] and times [n, 1]."""
    cosines = tf.cos(np.pi * t * tf.range(features, dtype=tf.float32))
    # What v is if the codes, being white, are normal: the network, which starts at zero, learns the rest.
    normal = (2 * t - 1) / (tf.square(1 - t) + tf.square(t)) * x
    return normal + network.apply(tf.concat([x, cosines], axis=1), *parameters)
