"""Rectified flow from noise to codes (Liu, Gong, Liu, ICLR 2023).

On straight lines x_t = (1 - t) noise + t code, a network v(x_t, t) is fitted to the velocity code - noise by least
squares. Integrating v from noise at t = 0 to t = 1 gives new codes.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import tensorflow as tf

from glo.data.randomness import Stream, random_generator
from glo.samplers import network
from glo.samplers.whitening import Whitening

WIDTH = 512
FEATURES = 32  # number of cosines of t in the input of the network
STEPS, BATCH = 4000, 256  # of training; few codes take fewer steps
DRAWN_STEPS = 50  # of Heun's method
DRAWN_BATCH = 2048  # codes drawn at once
MOMENTS = 4096  # number of drawn codes that are used to match the mean and covariance of the learned codes


@dataclass(frozen=True)
class Flow:
    """The velocity network in whitened coordinates, and the map from these to codes: mean [d] and root [d, d]."""

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
        random = random_generator(seed, Stream.FLOW)
        d = white.shape[1]

        def batches(step, parameters):
            noise, times = random.standard_normal((BATCH, d), np.float32), random.random((BATCH, 1), np.float32)
            return white[random.integers(len(white), size=BATCH)], noise, times

        def loss(parameters, targets, noise, times):
            positions = (1 - times) * noise + times * targets
            return tf.reduce_mean(tf.square(_velocity(positions, times, FEATURES, parameters) - (targets - noise)))

        start = network.initial(d + FEATURES, WIDTH, d, random)
        parameters = network.train(start, loss, batches, network.training_steps(len(codes), STEPS), "flow")
        # After so few training steps, drawn codes vary less than the learned ones. An affine map corrects their mean
        # and covariance.
        drawn = Whitening.fit(_integrated(random.standard_normal((MOMENTS, d), np.float32), parameters))
        root = np.linalg.solve(drawn.root, whitening.root)
        return cls(whitening.mean - drawn.mean @ root, root, *parameters)

    def draw(self, n: int, random: np.random.Generator, temperature: float = 1.0) -> np.ndarray:
        noise = np.float32(temperature) * random.standard_normal((n, len(self.mean)), np.float32)
        white = _integrated(noise, [getattr(self, name) for name in network.SHAPES])
        return Whitening(self.mean, self.root).undo(white)

    @property
    def noise_dimension(self) -> int:
        return len(self.mean)

    def transform(self, noise: tf.Tensor, temperature: float) -> tf.Tensor:
        parameters = [tf.constant(getattr(self, name)) for name in network.SHAPES]
        white = _heun(temperature * noise, self.first.shape[0] - len(self.mean), parameters)
        return white @ self.root.astype(np.float32) + self.mean.astype(np.float32)

    def log_likelihood(self, codes: np.ndarray) -> None:
        return None


def _integrated(noise: np.ndarray, parameters: network.Parameters) -> np.ndarray:
    """Transport noise float32 [n, d] from t = 0 to t = 1 in batches; float32 [n, d]."""
    integrate = _integrator(noise.shape[1], tuple(array.shape for array in parameters))
    constants = [tf.constant(array) for array in parameters]
    parts = [integrate(noise[i : i + DRAWN_BATCH], *constants).numpy() for i in range(0, len(noise), DRAWN_BATCH)]
    return np.concatenate(parts)


@functools.cache  # tracing takes longer than drawing, and the flows of all classes of images have the same shapes
def _integrator(d: int, shapes: tuple[tuple[int, ...], ...]) -> Callable[..., tf.Tensor]:
    """Compile the function of noise float32 [n, d] and of parameters of these shapes."""
    features = shapes[0][0] - d

    @tf.function(input_signature=[tf.TensorSpec([None, d]), *map(tf.TensorSpec, shapes)])
    def integrate(x, *parameters):
        return _heun(x, features, parameters)

    return integrate


def _heun(x: tf.Tensor, features: int, parameters: network.Parameters) -> tf.Tensor:
    """Integrate the velocity from positions float32 [n, d] at t = 0 to t = 1 by Heun's method."""
    h = 1 / DRAWN_STEPS
    for step in tf.range(DRAWN_STEPS):
        t = tf.fill([tf.shape(x)[0], 1], tf.cast(step, tf.float32) * h)
        slope = _velocity(x, t, features, parameters)
        x += h / 2 * (slope + _velocity(x + h * slope, t + h, features, parameters))
    return x


def _velocity(x: tf.Tensor, t: tf.Tensor, features: int, parameters: network.Parameters) -> tf.Tensor:
    """Velocity float32 [n, d] at positions [n, d] and times [n, 1]."""
    cosines = tf.cos(np.pi * t * tf.range(features, dtype=tf.float32))
    # The exact velocity for normally distributed codes. The network, which is zero at first, learns the difference.
    normal_velocity = (2 * t - 1) / (tf.square(1 - t) + tf.square(t)) * x
    return normal_velocity + network.apply(tf.concat([x, cosines], axis=1), *parameters)
