"""A network from noise to codes, fitted by implicit maximum likelihood as in GLANN (Hoshen, Li, Malik, CVPR 2019).

Each learned code is matched with the nearest of a pool of generated codes, and the network is trained to move that one
towards it. Every learned code gets a generated code nearby, which avoids mode collapse.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import tensorflow as tf

from glo.data.randomness import Stream, random_generator
from glo.samplers import network
from glo.samplers.whitening import Whitening

WIDTH = 256
STEPS, BATCH = 4000, 256  # of training; few codes take fewer steps
POOL, MATCHED = 2048, 2048  # number of generated codes, and of learned codes that are matched with them, at a time
MOMENTS = 20_000  # number of generated codes that are used to match the mean and covariance of the learned codes


@dataclass(frozen=True)
class Matching:
    """The sum of a linear map of the noise, [d, d], and a network."""

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
        # Scaled but not whitened: distances between codes correspond to visible differences between images.
        mean = codes.mean(axis=0, dtype=np.float64)
        deviation = max(float(np.sqrt(np.square(codes - mean).mean())), np.finfo(np.float32).tiny)
        scaled = ((codes - mean) / deviation).astype(np.float32)
        random = random_generator(seed, Stream.IMLE)
        # The linear map gives the covariance of the codes: the network, which is zero at first, learns the difference
        # from a normal distribution.
        linear = Whitening.fit(scaled).root.astype(np.float32)
        generated = tf.function(lambda x, *parameters: x @ linear + network.apply(x, *parameters))
        matched: list[tuple[np.ndarray, np.ndarray]] = []

        def batches(step, parameters):
            if not matched:
                noise = random.standard_normal((POOL, scaled.shape[1]), np.float32)
                targets = scaled[random.integers(len(scaled), size=MATCHED)]
                pool = generated(noise, *parameters).numpy()
                nearest = (np.square(pool).sum(axis=1) - 2 * targets @ pool.T).argmin(axis=1)
                starts = range(0, MATCHED, BATCH)
                matched.extend((noise[nearest[i : i + BATCH]], targets[i : i + BATCH]) for i in starts)
            return matched.pop()

        def loss(parameters, noise, targets):
            return tf.reduce_mean(tf.square(generated(noise, *parameters) - targets))

        start = network.initial(scaled.shape[1], WIDTH, scaled.shape[1], random)
        *hidden, last, last_bias = network.train(
            start, loss, batches, network.training_steps(len(codes), STEPS), "imle"
        )
        # In many dimensions even the nearest generated code is far away, so that the network learns averages, which
        # vary less than codes. An affine map, merged into the last layer, corrects the mean and covariance.
        noise = random.standard_normal((MOMENTS, scaled.shape[1]), np.float32)
        drawn, learned = Whitening.fit(generated(noise, *hidden, last, last_bias).numpy()), Whitening.fit(codes)
        stretch = np.linalg.solve(drawn.root, learned.root)
        bias = (last_bias - drawn.mean) @ stretch + learned.mean
        return cls(linear @ stretch, *hidden, *(array.astype(np.float32) for array in (last @ stretch, bias)))

    def draw(self, n: int, random: np.random.Generator, temperature: float = 1.0) -> np.ndarray:
        noise = np.float32(temperature) * random.standard_normal((n, self.first.shape[0]), np.float32)
        return self.transform(noise, 1.0).numpy()

    @property
    def noise_dimension(self) -> int:
        return len(self.linear)

    def transform(self, noise: tf.Tensor, temperature: float) -> tf.Tensor:
        noise = temperature * tf.convert_to_tensor(noise)
        nonlinear = network.apply(noise, *(getattr(self, name) for name in network.SHAPES))
        return noise @ self.linear.astype(np.float32) + nonlinear

    def log_likelihood(self, codes: np.ndarray) -> None:
        return None
