"""A network from noise to codes, by implicit maximum likelihood, as in GLANN (Hoshen, Li, Malik, CVPR 2019).

Each code is matched with the nearest of a pool of generated ones, and the network moves that one towards it: every code
must have a generated one near it, so that none is left out.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import tensorflow as tf

from glo.data.randomness import Stream, random_generator
from glo.samplers import network
from glo.samplers.whitening import Whitening

WIDTH = 256
STEPS, BATCH = 4000, 256
POOL, MATCHED = 2048, 2048  # generated codes, and learned ones that find their nearest among them, at a time
MOMENTS = 20_000  # generated codes whose mean and covariance are made those of the learned ones


@dataclass(frozen=True)
class Matching:
    """A linear map of the noise, [d, d], and the network that adds to it."""

    linear: np.ndarray
    first: np.ndarray
    first_bias: np.ndarray
    inner: np.ndarray
    inner_bias: np.ndarray
    last: np.ndarray
    last_bias: np.ndarray

    SHAPES: ClassVar = {"linear": "dd", **network.SHAPES}

    @classmethod
    def fit(cls, codes: np.ndarray, seed: int) -> "Matching":
        # Not whitened: distances in the units of the codes match what differs visibly.
        mean = codes.mean(axis=0, dtype=np.float64)
        deviation = max(float(np.sqrt(np.square(codes - mean).mean())), np.finfo(np.float32).tiny)
        scaled = ((codes - mean) / deviation).astype(np.float32)
        random = random_generator(seed, Stream.IMLE)
        # From the start, drawn codes have the mean and covariance of the codes: the network learns what is not normal.
        linear = Whitening.fit(scaled).root.astype(np.float32)
        generated = tf.function(lambda x, *parameters: x @ linear + network.apply(x, *parameters))
        matched: list[tuple[np.ndarray, np.ndarray]] = []

        def batches(step, parameters):
            if not matched:
                noise = random.standard_normal((POOL, scaled.shape[1]), np.float32)
                targets = scaled[random.integers(len(scaled), size=MATCHED)]
                pool = generated(noise, *parameters).numpy()
                nearest = (np.square(pool).sum(axis=1) - 2 * targets @ pool.T).argmin(axis=1)
                parts = range(0, MATCHED, BATCH)
                matched.extend((noise[nearest[i : i + BATCH]], targets[i : i + BATCH]) for i in parts)
            return matched.pop()

        def loss(parameters, noise, targets):
            return tf.reduce_mean(tf.square(generated(noise, *parameters) - targets))

        start = network.initial(scaled.shape[1], WIDTH, scaled.shape[1], random)
        *hidden, last, last_bias = network.train(start, loss, batches, STEPS)
        # In many dimensions even the nearest of the pool is far, so that the network learns averages, which vary less
        # than codes do: the last layer is turned and stretched until drawn codes have their mean and covariance.
        noise = random.standard_normal((MOMENTS, scaled.shape[1]), np.float32)
        drawn, learned = Whitening.fit(generated(noise, *hidden, last, last_bias).numpy()), Whitening.fit(codes)
        stretch = np.linalg.solve(drawn.root, learned.root)
        moved = (last_bias - drawn.mean) @ stretch + learned.mean
        return cls(linear @ stretch, *hidden, *(array.astype(np.float32) for array in (last @ stretch, moved)))

    def draw(self, n: int, random: np.random.Generator, temperature: float = 1.0) -> np.ndarray:
        noise = np.float32(temperature) * random.standard_normal((n, self.first.shape[0]), np.float32)
        return self.transform(noise, 1.0).numpy()

    @property
    def noise_dimension(self) -> int:
        return len(self.linear)

    def transform(self, noise: tf.Tensor, temperature: float) -> tf.Tensor:
        noise = temperature * tf.convert_to_tensor(noise)
        added = network.apply(noise, *(getattr(self, name) for name in network.SHAPES))
        return noise @ self.linear.astype(np.float32) + added

    def log_likelihood(self, codes: np.ndarray) -> None:
        return None
