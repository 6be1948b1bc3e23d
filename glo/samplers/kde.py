"""Kernel density estimate: a learned code, picked at random, plus noise (Bishop, PRML, section 2.5.1)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import tensorflow as tf
from scipy.special import logsumexp

from glo.data.randomness import Stream, random_generator
from glo.samplers.held_out import split
from glo.samplers.uniform import standard_normal_cdf
from glo.samplers.whitening import Whitening

BANDWIDTHS = np.geomspace(0.02, 2, 24)
SCORED = 1000  # held-out codes that choose the bandwidth, at most


@dataclass(frozen=True)
class Kernel:
    """Whitening (mean [d], root [d, d]), whitened codes float32 [n, d], and the noise's deviation, float64 [1]."""

    mean: np.ndarray
    root: np.ndarray
    white: np.ndarray
    bandwidth: np.ndarray

    SHAPES: ClassVar = {"mean": "d", "root": "dd", "white": "nd", "bandwidth": "1"}

    @classmethod
    def fit(cls, codes: np.ndarray, seed: int) -> "Kernel":
        """The bandwidth of `BANDWIDTHS` with the highest likelihood of codes that were held out."""
        whitening = Whitening.fit(codes)
        white = whitening.apply(codes)
        train, held_out = split(len(white), seed, Stream.KDE_HELD_OUT)
        scored = white[random_generator(seed, Stream.KDE_SCORED).permutation(held_out)[:SCORED]]
        squares = _squares(scored, white[train])
        scores = [_log_densities(squares, width, white.shape[1]).sum() for width in BANDWIDTHS]
        return cls(whitening.mean, whitening.root, white, BANDWIDTHS[[np.argmax(scores)]])

    def draw(self, n: int, random: np.random.Generator, temperature: float = 1.0) -> np.ndarray:
        picked = self.white[random.integers(len(self.white), size=n)]
        noise = temperature * random.standard_normal(picked.shape)
        return Whitening(self.mean, self.root).undo(picked + self.bandwidth * noise)

    @property
    def noise_dimension(self) -> int:
        return 1 + len(self.mean)  # the first number chooses the code

    def transform(self, noise: tf.Tensor, temperature: float) -> tf.Tensor:
        n = len(self.white)
        chosen = tf.minimum(tf.cast(n * standard_normal_cdf(noise[:, 0]), tf.int32), n - 1)
        white = tf.gather(self.white, chosen) + temperature * float(self.bandwidth[0]) * noise[:, 1:]
        return white @ self.root.astype(np.float32) + self.mean.astype(np.float32)

    def log_likelihood(self, codes: np.ndarray) -> float:
        whitening = Whitening(self.mean, self.root)
        white = whitening.apply(codes)
        parts = [
            _log_densities(_squares(white[i : i + SCORED], self.white), self.bandwidth[0], white.shape[1])
            for i in range(0, len(white), SCORED)
        ]
        return float(np.concatenate(parts).mean() - whitening.log_volume)


def _squares(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Squared distances float32 [n, m] of [n, d] and [m, d]."""
    squares = np.square(a).sum(axis=1)[:, None] + np.square(b).sum(axis=1) - 2 * a @ b.T
    return np.maximum(squares, 0)


def _log_densities(squares: np.ndarray, width: float, d: int) -> np.ndarray:
    """Log density float [n] of each row under equal normal kernels at squared distances [n, m]."""
    constant = np.log(squares.shape[1]) + 0.5 * d * np.log(2 * np.pi * width**2)
    return logsumexp(squares / (-2 * width**2), axis=1) - constant
