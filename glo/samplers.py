"""Distributions fitted to the learned codes, by name, from which new codes are drawn (section 5.4 of the paper)."""

from typing import Protocol

import numpy as np

from glo.initial_codes import project


class Sampler(Protocol):
    """Fitted when made."""

    def __init__(self, codes: np.ndarray): ...

    def draw(self, n: int, random: np.random.Generator) -> np.ndarray:
        """n new codes, float32 [n, d], not yet projected."""


class Gaussian:
    """Normal distribution with the mean and the full covariance of the codes [N, d], by maximum likelihood (over N)."""

    def __init__(self, codes: np.ndarray):
        codes = codes.astype(np.float64)
        self.mean = codes.mean(axis=0)
        self.covariance = np.atleast_2d(np.cov(codes, rowvar=False, bias=True))

    def draw(self, n: int, random: np.random.Generator) -> np.ndarray:
        # By eigenvectors, since fewer codes than dimensions give a singular covariance, for which Cholesky fails.
        variances, axes = np.linalg.eigh(self.covariance)
        noise = random.standard_normal((n, len(self.mean))) * np.sqrt(np.maximum(variances, 0))
        return (self.mean + noise @ axes.T).astype(np.float32)


class Diagonal:
    """Normal distribution with the mean and the variance of each coordinate."""

    def __init__(self, codes: np.ndarray):
        codes = codes.astype(np.float64)
        self.mean, self.deviation = codes.mean(axis=0), codes.std(axis=0)

    def draw(self, n: int, random: np.random.Generator) -> np.ndarray:
        return (self.mean + random.standard_normal((n, len(self.mean))) * self.deviation).astype(np.float32)


class Unit:
    """Standard normal distribution: nothing is fitted but the dimension."""

    def __init__(self, codes: np.ndarray):
        self.dimension = codes.shape[1]

    def draw(self, n: int, random: np.random.Generator) -> np.ndarray:
        return random.standard_normal((n, self.dimension), np.float32)


SAMPLERS: dict[str, type[Sampler]] = {"gaussian": Gaussian, "diagonal": Diagonal, "unit": Unit}


def sample(name: str, codes: np.ndarray, n: int, seed: int, projection: str) -> np.ndarray:
    """Fit a sampler to learned codes float32 [N, d] and draw n codes, float32 [n, d], each projected as in training."""
    return project(SAMPLERS[name](codes).draw(n, np.random.default_rng([seed, 3])), projection)
