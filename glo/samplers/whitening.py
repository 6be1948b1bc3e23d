"""Whitening: coordinates in which the codes have mean 0 and the identity as covariance, and which are not turned."""

from dataclasses import dataclass

import numpy as np

FLOOR = 1e-6  # least variance of an axis, relative to the largest: fewer codes than dimensions leave some at 0


@dataclass(frozen=True)
class Whitening:
    """mean: float64 [d]. root: the symmetric root of the covariance, float64 [d, d]."""

    mean: np.ndarray
    root: np.ndarray

    @classmethod
    def fit(cls, codes: np.ndarray) -> "Whitening":
        """By maximum likelihood, from codes [N, d]."""
        codes = codes.astype(np.float64)
        variances, axes = np.linalg.eigh(np.atleast_2d(np.cov(codes, rowvar=False, bias=True)))
        floor = max(FLOOR * variances[-1], np.finfo(np.float32).tiny)
        return cls(codes.mean(axis=0), (axes * np.sqrt(np.maximum(variances, floor))) @ axes.T)

    def apply(self, codes: np.ndarray) -> np.ndarray:
        """Codes [n, d] in the new coordinates, float32 [n, d]."""
        return np.linalg.solve(self.root, (codes - self.mean).T).T.astype(np.float32)

    def undo(self, white: np.ndarray) -> np.ndarray:
        """Codes float32 [n, d] of white ones [n, d]."""
        return (white @ self.root + self.mean).astype(np.float32)

    @property
    def log_volume(self) -> float:
        """Log volume of a unit cube of the new coordinates: a log density there, less this, is one of codes."""
        return float(np.linalg.slogdet(self.root)[1])
