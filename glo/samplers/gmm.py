"""Mixture of Gaussians with full covariances, by expectation maximisation (Bishop, PRML, section 9.2.2).

k-means, from which it starts, is scikit-learn's. EM itself is written out: `GaussianMixture` goes over all codes twice
for each component, where a code is near to few of the hundreds that codes ask for. Only the nearest are looked at
(truncated EM; Forster and Luecke, AISTATS 2018): codes of MNIST (d = 128) come out as likely, in a fifth of the time.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import tensorflow as tf
from scipy.special import logsumexp

from glo.data.randomness import Stream, permutation
from glo.samplers.held_out import split
from glo.samplers.uniform import standard_normal_cdf
from glo.samplers.whitening import Whitening

CANDIDATES = (1, 3, 10, 25, 50, 100, 200)  # numbers of components, tried until two in a row do not raise the likelihood
LEAST = 2  # codes for each component and dimension, at least, of a candidate
FEWEST = 20  # codes of a component, at least, where a recipe says how many there are
ITERATIONS, MORE = 5, 6  # of EM: for a candidate; for the chosen one, on all codes
START_CODES, START_ITERATIONS = 20_000, 10  # of k-means, from which EM starts
REGULAR = 1e-3  # added to every variance, of which 1 is that of all codes along an axis
NEGLIGIBLE = 1e-4  # share of a code in a component below which it does not move it
NEAR = 16  # components that a code may belong to: those with the nearest means
BLOCK = 1 << 12  # codes whose distances from all means are held at once


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
            found = _fit(white, whitening, min(components, len(codes)), seed)
        else:
            train, held_out = split(len(codes), seed, Stream.GMM_HELD_OUT)
            fits, scores = [], []
            for k in CANDIDATES:
                if fits and (k * LEAST * white.shape[1] > len(train) or max(scores) > max(scores[-2:])):
                    break
                fits.append(_fit(white[train], whitening, k, seed))
                scores.append(_log_density(white[held_out], *fits[-1]).sum())
            found = fits[np.argmax(scores)]
        for _ in range(MORE):
            found = _step(white, whitening, *found)
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

    @property
    def noise_dimension(self) -> int:
        return 1 + self.means.shape[1]  # the first number chooses the component

    def transform(self, noise: tf.Tensor, temperature: float) -> tf.Tensor:
        ends = np.cumsum(self.weights, dtype=np.float64)
        ends = tf.constant((ends / ends[-1])[:-1], tf.float32)
        chosen = tf.searchsorted(ends, standard_normal_cdf(noise[:, 0]), side="right")
        lower = tf.constant(np.linalg.cholesky(self.covariances.astype(np.float64)), tf.float32)
        means = tf.constant(self.means, tf.float32)
        # One code at a time: a batch of their covariances would not fit in memory.
        white = tf.map_fn(
            lambda pair: means[pair[0]] + temperature * tf.linalg.matvec(lower[pair[0]], pair[1]),
            (chosen, noise[:, 1:]),
            fn_output_signature=tf.TensorSpec(means.shape[1:], tf.float32),
        )
        return white @ self.root.astype(np.float32) + self.mean.astype(np.float32)

    def log_likelihood(self, codes: np.ndarray) -> float:
        white = self._whitening.apply(codes)
        densities = _log_density(white, self.weights, self.means, self.covariances)
        return float(densities.mean() - self._whitening.log_volume)

    @property
    def _whitening(self) -> Whitening:
        return Whitening(self.mean, self.root)


def components_for(n: int, whole: int, components: int) -> int:
    """Components for n of the codes where all of them, `whole`, have `components`: in proportion.

    At least 1, and at most as many as leave `FEWEST` codes for each: a component with fewer would copy its codes.
    """
    return max(1, min(round(components * n / whole), n // FEWEST))


Parameters = tuple[np.ndarray, np.ndarray, np.ndarray]  # weights [K], means [K, d], covariances [K, d, d]


class _Candidates:
    """Which components each of n codes may belong to, int64 [n, c], and which codes each of K may have."""

    def __init__(self, components: np.ndarray, k: int):
        self.shape = components.shape
        self._places = np.argsort(components, axis=None, kind="stable")
        self._bounds = np.searchsorted(components.ravel()[self._places], np.arange(k + 1))

    @classmethod
    def near(cls, codes: np.ndarray, means: np.ndarray) -> "_Candidates":
        """The components whose means [K, d] are nearest to codes [n, d]."""
        if len(means) <= NEAR:
            return cls.all(len(codes), len(means))
        squares, found = np.square(means).sum(axis=1), np.empty((len(codes), NEAR), np.int64)
        for start in range(0, len(codes), BLOCK):
            part = slice(start, start + BLOCK)
            distances = squares - 2 * codes[part] @ means.T
            found[part] = np.argpartition(distances, NEAR, axis=1)[:, :NEAR]
        return cls(found, len(means))

    @classmethod
    def all(cls, n: int, k: int) -> "_Candidates":
        return cls(np.broadcast_to(np.arange(k), (n, k)), k)

    def __len__(self) -> int:
        """K."""
        return len(self._bounds) - 1

    def of(self, component: int) -> tuple[np.ndarray, np.ndarray]:
        """The rows of its codes, and where each of them and the component meet in a raveled [n, c]."""
        places = self._places[self._bounds[component] : self._bounds[component + 1]]
        return places // self.shape[1], places


def _fit(white: np.ndarray, whitening: Whitening, k: int, seed: int) -> Parameters:
    """EM from the clusters that k-means finds among the codes, where directions count by their variance."""
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    codes = whitening.undo(white)
    some = permutation(len(codes), seed, Stream.GMM_KMEANS)[:START_CODES]
    with threadpool_limits(1, "openmp"):  # several threads add up in an order of their own, which changes last digits
        clusters = KMeans(k, n_init=1, max_iter=START_ITERATIONS, random_state=seed).fit(codes[np.sort(some)])
        labels = clusters.predict(codes)
    found = _maximized(white, _Candidates(labels[:, None], k), np.ones((len(white), 1), np.float32))
    for _ in range(ITERATIONS if k > 1 else 0):
        found = _step(white, whitening, *found)
    return found


def _step(white: np.ndarray, whitening: Whitening, *parameters: np.ndarray) -> Parameters:
    """One iteration of EM, in which codes belong to near components alone."""
    near = _Candidates.near(whitening.undo(white), whitening.undo(parameters[1].astype(np.float32)))
    joint = _log_joint(white, near, *parameters)
    return _maximized(white, near, np.exp(joint - logsumexp(joint, axis=1, keepdims=True)))


def _maximized(white: np.ndarray, candidates: _Candidates, shares: np.ndarray) -> Parameters:
    """M step: parameters of codes [n, d] that belong to their candidates by shares [n, c] (PRML 9.24 to 9.26)."""
    d, k = white.shape[1], len(candidates)
    counts, means, covariances = np.empty(k), np.empty((k, d)), np.empty((k, d, d))
    for j in range(k):
        rows, places = candidates.of(j)
        share = shares.ravel()[places]
        moving = share > NEGLIGIBLE  # nearly all shares are 0 or 1 in so many dimensions
        share, members = share[moving], white[rows[moving]]
        counts[j] = share.sum(dtype=np.float64) + np.finfo(np.float32).tiny
        means[j] = share @ members / counts[j]
        centred = (members - means[j].astype(np.float32)) * np.sqrt(share)[:, None]
        covariances[j] = centred.T @ centred / counts[j] + REGULAR * np.eye(d)
    return counts / counts.sum(), means, covariances


def _log_density(white: np.ndarray, *parameters: np.ndarray) -> np.ndarray:
    """Of codes [n, d] in the mixture, all components counted: [n]."""
    return logsumexp(_log_joint(white, _Candidates.all(len(white), len(parameters[0])), *parameters), axis=1)


def _log_joint(
    white: np.ndarray, candidates: _Candidates, weights: np.ndarray, means: np.ndarray, covariances: np.ndarray
) -> np.ndarray:
    """log(weight_k N(x | mean_k, covariance_k)) float32 [n, c] of codes [n, d] and their candidates k."""
    d = means.shape[1]
    lower = np.linalg.cholesky(covariances.astype(np.float64))
    inverse = np.linalg.inv(lower)
    constants = np.log(np.maximum(weights, 1e-300)) - 0.5 * d * np.log(2 * np.pi)
    constants -= np.log(np.einsum("kii->ki", lower)).sum(axis=1)
    turned, offsets = inverse.astype(np.float32), np.einsum("kij,kj->ki", inverse, means).astype(np.float32)
    joint = np.empty(candidates.shape, np.float32)
    for j in range(len(candidates)):
        rows, places = candidates.of(j)
        part = white[rows] @ turned[j].T - offsets[j]
        joint.ravel()[places] = constants[j] - 0.5 * np.einsum("nj,nj->n", part, part)
    return joint
