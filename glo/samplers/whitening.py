"""Whitening (ZCA, without rotation): coordinates in which codes have mean 0 and the identity as covariance."""

from dataclasses import dataclass

import numpy as np

FLOOR = 1e-6  # minimum variance of an axis, relative to the largest: some are 0 with fewer codes than dimensions


@dataclass(frozen=True)
class Whitening:
    """mean: float64 [d]. root: symmetric square root of the covariance, float64 [d, d]."""

    mean: np.ndarray
    root: np.ndarray

    @classmethod
    def fit(cls, codes: np.ndarray) -> "Whitening":
        """Estimate mean and covariance of codes [N, d] by maximum likelihood."""
        codes = codes.astype(np.float64)
        variances, axes = np.linalg.eigh(np.atleast_2d(np.cov(codes, rowvar=False, bias=True)))
        floor = max(FLOOR * variances[-1], np.finfo(np.float32).tiny)
        return cls(codes.mean(axis=0), (axes * np.sqrt(np.maximum(variances, floor))) @ axes.T)

    def apply(self, codes: np.ndarray) -> np.ndarray:
        """Transform codes [n, d] to whitened coordinates, float32 [n, d]."""
        return np.linalg.solve(self.root, (codes - self.mean).T).T.astype(np.float32)

    def undo(self, white: np.ndarray) -> np.ndarray:
        """Transform whitened coordinates [n, d] to codes, float32 [n, d]."""
        return (white @ self.root + self.mean).astype(np.float32)

    @property
    def log_volume(self) -> float:
        """Log determinant of `root`. Subtract it from a log density in whitened coordinates to get one of codes."""
        return float(np.linalg.slogdet(self.root)[1])
