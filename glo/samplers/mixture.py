"""Mixture of Gaussians with full covariances, by expectation maximisation (Bishop, PRML, section 9.2.2).

k-means, from which it starts, is scikit-learn's. EM itself is written out: `GaussianMixture` goes over all codes twice
for each component, which takes several times as long with the tens of components that codes ask for. On codes of MNIST
(d = 64) likelihood asks for 100, and shrinking covariances, or cutting their ranks, only lowers it.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.special import logsumexp

from glo.samplers.held_out import split
from glo.samplers.whitening import Whitening

CANDIDATES = (1, 3, 10, 25, 50, 100, 200)  # numbers of components, tried until two in a row do not raise the likelihood
LEAST = 2  # codes for each component and dimension, at least, of a candidate and of a class
ITERATIONS, MORE = 5, 6  # of EM: for a candidate; for the chosen one, on all codes
START_CODES, START_ITERATIONS = 20_000, 10  # of k-means, from which EM starts
REGULAR = 1e-3  # added to every variance, of which 1 is that of all codes along an axis
NEGLIGIBLE = 1e-4  # share of a code in a component below which it does not move it
BLOCK_BYTES = 1 << 23  # of codes under all components at once


@dataclass(frozen=True)
class Mixture:
    """Whitening (mean [d], root [d, d]); in its coordinates weights [K], means [K, d], covariances [K, d, d]."""

    mean: np.ndarray
    root: np.ndarray
    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray

    SHAPES: ClassVar = {"mean": "d", "root": "dd", "weights": "k", "means": "kd", "covariances": "kdd"}

    @classmethod
    def fit(cls, codes: np.ndarray, seed: int, components: int | None = None) -> "Mixture":
        """components: K; by default that of `CANDIDATES` with the highest likelihood of codes that were held out."""
        whitening = Whitening.fit(codes)
        white = whitening.apply(codes)
        if components:
            found = _fit(white, codes, min(components, len(codes)), seed)
        else:
            train, held_out = split(len(codes), seed + 1)
            fits, scores = [], []
            for k in CANDIDATES:
                if fits and (k * LEAST * white.shape[1] > len(train) or max(scores) > max(scores[-2:])):
                    break
                fits.append(_fit(white[train], codes[train], k, seed))
                scores.append(logsumexp(_log_joint(white[held_out], *fits[-1]), axis=1).sum())
            found = fits[np.argmax(scores)]
        for _ in range(MORE):
            found = _step(white, *found)
        return cls(whitening.mean, whitening.root, *(array.astype(np.float32) for array in found))

    def draw(self, n: int, random: np.random.Generator, temperature: float = 1.0) -> np.ndarray:
        weights = self.weights.astype(np.float64)
        chosen = random.choice(len(weights), n, p=weights / weights.sum())
        noise = temperature * random.standard_normal(size=(n, self.means.shape[1]))
        white = np.empty_like(noise)
        for k in np.unique(chosen):
            rows = chosen == k
            white[rows] = self.means[k] + noise[rows] @ np.linalg.cholesky(self.covariances[k].astype(np.float64)).T
        return self._whitening.undo(white)

    def log_likelihood(self, codes: np.ndarray) -> float:
        white = self._whitening.apply(codes)
        densities = logsumexp(_log_joint(white, self.weights, self.means, self.covariances), axis=1)
        return float(densities.mean() - self._whitening.log_volume)

    @property
    def _whitening(self) -> Whitening:
        return Whitening(self.mean, self.root)


def components_for(n: int, whole: int, components: int, dimension: int) -> int:
    """Components for n of the codes where all of them, `whole`, have `components`: in proportion.

    But no more than leave `LEAST` codes for each component and dimension, and at least 1.
    """
    return max(1, min(round(components * n / whole), n // (LEAST * dimension)))


Parameters = tuple[np.ndarray, np.ndarray, np.ndarray]  # weights [K], means [K, d], covariances [K, d, d]


def _fit(white: np.ndarray, codes: np.ndarray, k: int, seed: int) -> Parameters:
    """EM from the clusters that k-means finds among the codes, where directions count by their variance."""
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    some = np.random.default_rng([seed, 6]).permutation(len(codes))[:START_CODES]
    with threadpool_limits(1, "openmp"):  # several threads add up in an order of their own, which changes last digits
        clusters = KMeans(k, n_init=1, max_iter=START_ITERATIONS, random_state=seed).fit(codes[np.sort(some)])
        labels = clusters.predict(codes)
    found = _maximized(white, np.eye(k, dtype=np.float32)[labels])
    for _ in range(ITERATIONS if k > 1 else 0):
        found = _step(white, *found)
    return found


def _step(white: np.ndarray, *parameters: np.ndarray) -> Parameters:
    """One iteration of EM."""
    joint = _log_joint(white, *parameters)
    return _maximized(white, np.exp(joint - logsumexp(joint, axis=1, keepdims=True)))


def _maximized(white: np.ndarray, shares: np.ndarray) -> Parameters:
    """M step: parameters of codes [n, d] that belong to components by shares [n, K] (PRML 9.24 to 9.26)."""
    d, k = white.shape[1], shares.shape[1]
    counts, means, covariances = np.empty(k), np.empty((k, d)), np.empty((k, d, d))
    for j in range(k):
        # Nearly all shares are 0 or 1 in so many dimensions: only those that move the component are added up.
        rows = np.flatnonzero(shares[:, j] > NEGLIGIBLE)
        share, members = shares[rows, j], white[rows]
        counts[j] = share.sum(dtype=np.float64) + np.finfo(np.float32).tiny
        means[j] = share @ members / counts[j]
        centred = (members - means[j].astype(np.float32)) * np.sqrt(share)[:, None]
        covariances[j] = centred.T @ centred / counts[j] + REGULAR * np.eye(d)
    return counts / counts.sum(), means, covariances


def _log_joint(white: np.ndarray, weights: np.ndarray, means: np.ndarray, covariances: np.ndarray) -> np.ndarray:
    """log(weight_k N(x | mean_k, covariance_k)) float32 [n, K] of codes [n, d]."""
    k, d = means.shape
    lower = np.linalg.cholesky(covariances.astype(np.float64))
    inverse = np.linalg.inv(lower)
    constants = np.log(np.maximum(weights, 1e-300)) - 0.5 * d * np.log(2 * np.pi)
    constants -= np.log(np.einsum("kii->ki", lower)).sum(axis=1)
    # All components in one product of matrices: several times as fast as one after the other.
    turned = inverse.transpose(2, 0, 1).reshape(d, k * d).astype(np.float32)
    offsets = np.einsum("kij,kj->ki", inverse, means).ravel().astype(np.float32)
    joint = np.empty((len(white), k), np.float32)
    rows = max(1, BLOCK_BYTES // (4 * k * d))
    for start in range(0, len(white), rows):
        part = (white[start : start + rows] @ turned - offsets).reshape(-1, k, d)
        joint[start : start + rows] = constants - 0.5 * np.einsum("nki,nki->nk", part, part)
    return joint
