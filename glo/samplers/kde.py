"""Kernel density estimate: a randomly chosen learned code plus normal noise (Bishop, PRML, section 2.5.1)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import tensorflow as tf
from scipy.special import logsumexp
from tqdm import tqdm

from glo.data.randomness import Stream, random_generator
from glo.samplers.held_out import split
from glo.samplers.uniform import standard_normal_cdf
from glo.samplers.whitening import Whitening

BANDWIDTHS = np.geomspace(0.02, 2, 24)  # candidates, standard deviations in whitened coordinates
SCORED = 1000  # the bandwidth is chosen by the likelihood of at most this many held-out codes


@dataclass(frozen=True)
class Kernel:
    """Whitening (mean [d], root [d, d]), whitened codes float32 [n, d], and the bandwidth, float64 [1].

    The bandwidth is the standard deviation of the noise in whitened coordinates.
    """

    mean: np.ndarray
    root: np.ndarray
    white: np.ndarray
    bandwidth: np.ndarray

    SHAPES: ClassVar = {"mean": "d", "root": "dd", "white": "nd", "bandwidth": "1"}

    @classmethod
    def fit(cls, codes: np.ndarray, seed: int) -> "Kernel":
        """Choose the bandwidth of `BANDWIDTHS` with the highest likelihood of held-out codes."""
        whitening = Whitening.fit(codes)
        white = whitening.apply(codes)
        train_rows, held_out_rows = split(len(white), seed, Stream.KDE_HELD_OUT)
        scored = white[random_generator(seed, Stream.KDE_SCORED).permutation(held_out_rows)[:SCORED]]
        squares = _squared_distances(scored, white[train_rows])
        tried = tqdm(BANDWIDTHS, desc="fitting kde", unit="bandwidth", disable=None, leave=False)
        scores = [_log_densities(squares, bandwidth, white.shape[1]).sum() for bandwidth in tried]
        return cls(whitening.mean, whitening.root, white, BANDWIDTHS[[np.argmax(scores)]])

    def draw(self, n: int, random: np.random.Generator, temperature: float = 1.0) -> np.ndarray:
        centers = self.white[random.integers(len(self.white), size=n)]
        noise = temperature * random.standard_normal(centers.shape)
        return Whitening(self.mean, self.root).undo(centers + self.bandwidth * noise)

    @property
    def noise_dimension(self) -> int:
        return 1 + len(self.mean)  # the first variable chooses the code

    def transform(self, noise: tf.Tensor, temperature: float) -> tf.Tensor:
        n = len(self.white)
        chosen = tf.minimum(tf.cast(n * standard_normal_cdf(noise[:, 0]), tf.int32), n - 1)
        white = tf.gather(self.white, chosen) + temperature * float(self.bandwidth[0]) * noise[:, 1:]
        return white @ self.root.astype(np.float32) + self.mean.astype(np.float32)

    def log_likelihood(self, codes: np.ndarray) -> float:
        whitening = Whitening(self.mean, self.root)
        white = whitening.apply(codes)
        parts = [
            _log_densities(_squared_distances(white[i : i + SCORED], self.white), self.bandwidth[0], white.shape[1])
            for i in range(0, len(white), SCORED)
        ]
        return float(np.concatenate(parts).mean() - whitening.log_volume)


def _squared_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Squared Euclidean distances float32 [n, m] between a [n, d] and b [m, d]."""
    squares = np.square(a).sum(axis=1)[:, None] + np.square(b).sum(axis=1) - 2 * a @ b.T
    return np.maximum(squares, 0)


def _log_densities(squares: np.ndarray, bandwidth: float, d: int) -> np.ndarray:
    """Log density [n] of n points in d dimensions, from squared distances [n, m] to the centres of m normal kernels."""
    constant = np.log(squares.shape[1]) + 0.5 * d * np.log(2 * np.pi * bandwidth**2)
    return logsumexp(squares / (-2 * bandwidth**2), axis=1) - constant
