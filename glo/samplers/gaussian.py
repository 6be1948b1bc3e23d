"""Normal distributions: with the full covariance of the codes, with a diagonal covariance, and the standard one."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import tensorflow as tf

LOG_2PI = np.log(2 * np.pi)
FLOOR = 1e-12  # minimum variance in densities, relative to the largest: few codes may have none along some axes


@dataclass(frozen=True)
class Gaussian:
    """Mean float64 [d] and full covariance float64 [d, d], estimated by maximum likelihood (divided by N)."""

    mean: np.ndarray
    covariance: np.ndarray

    SHAPES: ClassVar = {"mean": "d", "covariance": "dd"}

    @classmethod
    def fit(cls, codes: np.ndarray, seed: int) -> "Gaussian":
        codes = codes.astype(np.float64)
        return cls(codes.mean(axis=0), np.atleast_2d(np.cov(codes, rowvar=False, bias=True)))

    def draw(self, n: int, random: np.random.Generator, temperature: float = 1.0) -> np.ndarray:
        noise = temperature * random.standard_normal((n, len(self.mean)))
        return (self.mean + noise @ self.root).astype(np.float32)

    @property
    def noise_dimension(self) -> int:
        return len(self.mean)

    def transform(self, noise: tf.Tensor, temperature: float) -> tf.Tensor:
        return temperature * noise @ self.root.astype(np.float32) + self.mean.astype(np.float32)

    @property
    def root(self) -> np.ndarray:
        """R float64 [d, d] such that R' R is the covariance: noise @ R has this covariance."""
        # By eigenvectors: with fewer codes than dimensions the covariance has no Cholesky decomposition.
        variances, axes = np.linalg.eigh(self.covariance)
        return np.sqrt(np.maximum(variances, 0))[:, None] * axes.T

    def log_likelihood(self, codes: np.ndarray) -> float:
        variances, axes = np.linalg.eigh(self.covariance)
        return _log_likelihood((codes - self.mean) @ axes, variances)


@dataclass(frozen=True)
class Diagonal:
    """Independent coordinates: mean float64 [d] and variance float64 [d], estimated by maximum likelihood."""

    mean: np.ndarray
    variance: np.ndarray

    SHAPES: ClassVar = {"mean": "d", "variance": "d"}

    @classmethod
    def fit(cls, codes: np.ndarray, seed: int) -> "Diagonal":
        codes = codes.astype(np.float64)
        return cls(codes.mean(axis=0), codes.var(axis=0))

    def draw(self, n: int, random: np.random.Generator, temperature: float = 1.0) -> np.ndarray:
        noise = temperature * random.standard_normal((n, len(self.mean))) * np.sqrt(np.maximum(self.variance, 0))
        return (self.mean + noise).astype(np.float32)

    @property
    def noise_dimension(self) -> int:
        return len(self.mean)

    def transform(self, noise: tf.Tensor, temperature: float) -> tf.Tensor:
        deviation = np.sqrt(np.maximum(self.variance, 0)).astype(np.float32)
        return temperature * noise * deviation + self.mean.astype(np.float32)

    def log_likelihood(self, codes: np.ndarray) -> float:
        return _log_likelihood(codes - self.mean, self.variance)


@dataclass(frozen=True)
class Unit:
    """Standard normal distribution. Its mean, zeros [d], holds the dimension; nothing else is fitted."""

    mean: np.ndarray

    SHAPES: ClassVar = {"mean": "d"}

    @classmethod
    def fit(cls, codes: np.ndarray, seed: int) -> "Unit":
        return cls(np.zeros(codes.shape[1]))

    def draw(self, n: int, random: np.random.Generator, temperature: float = 1.0) -> np.ndarray:
        return np.float32(temperature) * random.standard_normal((n, len(self.mean)), np.float32)

    @property
    def noise_dimension(self) -> int:
        return len(self.mean)

    def transform(self, noise: tf.Tensor, temperature: float) -> tf.Tensor:
        return temperature * noise

    def log_likelihood(self, codes: np.ndarray) -> float:
        return _log_likelihood(codes, np.ones(len(self.mean)))


def _log_likelihood(centred: np.ndarray, variances: np.ndarray) -> float:
    """Mean log density, in nats per code, of independent normal coordinates [n, d] with mean 0 and variances [d]."""
    variances = np.maximum(variances, max(FLOOR * variances.max(), np.finfo(np.float32).tiny))
    densities = -0.5 * (LOG_2PI + np.log(variances) + np.square(centred.astype(np.float64)) / variances)
    return float(densities.sum(axis=1).mean())
