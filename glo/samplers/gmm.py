"""Mixture of Gaussians with full covariances, fitted by expectation maximisation (Bishop, PRML, section 9.2.2).

EM is initialised by scikit-learn's k-means but not run by its `GaussianMixture`, which passes over all codes twice for
each component. A good fit to codes needs hundreds of components, and each code is near only a few of them. Truncated EM
(Forster and Luecke, AISTATS 2018) considers only those: for MNIST (d = 128) it reaches the same likelihood in a fifth
of the time.
"""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import tensorflow as tf
from scipy.linalg import solve_triangular
from scipy.special import logsumexp
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from glo.data.randomness import Stream, permutation
from glo.samplers.held_out import split
from glo.samplers.uniform import standard_normal_cdf
from glo.samplers.whitening import Whitening

CANDIDATES = (1, 3, 10, 25, 50, 100, 200)  # numbers of components; two in a row without improvement end the search
LEAST = 2  # a candidate has at least this many codes per component and dimension
FEWEST = 20  # `components_for` leaves at least this many codes per component
ITERATIONS, MORE = 5, 6  # iterations of EM for a candidate, and further ones for the chosen candidate on all codes
START_CODES, START_ITERATIONS = 20_000, 10  # of k-means, which initialises EM
REGULAR = 1e-3  # added to every variance in whitened coordinates, where the codes have variance 1
NEGLIGIBLE = 1e-4  # responsibilities below this are treated as 0
NEAR = 16  # a code can belong to this many components, those with the nearest means
BLOCK = 1 << 11  # codes whose distances from all means one thread computes at once


@dataclass(frozen=True)
class Mixture:
    """Whitening (mean [d], root [d, d]), and weights [K], means [K, d], covariances [K, d, d] in its coordinates."""

    mean: np.ndarray
    root: np.ndarray
    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray

    SHAPES: ClassVar = {"mean": "d", "root": "dd", "weights": "k", "means": "kd", "covariances": "kdd"}

    @classmethod
    def fit(cls, codes: np.ndarray, seed: int, components: int | None = None) -> "Mixture":
        """Fit the mixture to codes float32 [N, d].

        components: K. By default the number of `CANDIDATES` with the highest likelihood of held-out codes.
        """
        whitening = Whitening.fit(codes)
        white = whitening.apply(codes)
        if components:
            parameters = _fit(white, whitening, min(components, len(codes)), seed)
        else:
            train_rows, held_out_rows = split(len(codes), seed, Stream.GMM_HELD_OUT)
            fits, scores = [], []
            for k in CANDIDATES:
                if fits and (k * LEAST * white.shape[1] > len(train_rows) or max(scores) > max(scores[-2:])):
                    break
                fits.append(_fit(white[train_rows], whitening, k, seed))
                scores.append(_log_densities(white[held_out_rows], *fits[-1]).sum())
            parameters = fits[np.argmax(scores)]
        for _ in _progress(MORE, len(parameters[0])):
            parameters = _em_step(white, whitening, *parameters)
        return cls(whitening.mean, whitening.root, *(array.astype(np.float32) for array in parameters))

    def draw(self, n: int, random: np.random.Generator, temperature: float = 1.0) -> np.ndarray:
        weights = self.weights.astype(np.float64)
        chosen = random.choice(len(weights), n, p=weights / weights.sum())
        noise = temperature * random.standard_normal(size=(n, self.means.shape[1]))
        white = np.empty_like(noise)
        for k in np.unique(chosen):
            rows = chosen == k
            white[rows] = self.means[k] + noise[rows] @ np.linalg.cholesky(self.covariances[k].astype(np.float64)).T
        return self._whitening.undo(white)

    def whiten(self, codes: np.ndarray) -> np.ndarray:
        """Codes [n, d] in whitened coordinates, float32 [n, d]."""
        return self._whitening.apply(codes)

    @property
    def noise_dimension(self) -> int:
        return 1 + self.means.shape[1]  # the first variable chooses the component

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
        white = self.whiten(codes)
        densities = _log_densities(white, self.weights, self.means, self.covariances)
        return float(densities.mean() - self._whitening.log_volume)

    @property
    def _whitening(self) -> Whitening:
        return Whitening(self.mean, self.root)


def components_for(n: int, total: int, components: int) -> int:
    """The number of components for n of the `total` codes, in proportion to the `components` of all codes.

    At least 1, and otherwise at most n / `FEWEST`: a component with fewer codes would copy them.
    """
    return max(1, min(round(components * n / total), n // FEWEST))


Parameters = tuple[np.ndarray, np.ndarray, np.ndarray]  # weights [K], means [K, d], covariances [K, d, d]


class _Candidates:
    """The candidate components of each code, and the codes that are candidates of each component.

    components: int64 [n, c], indices of the c components to which each of n codes can belong. k: number of components.
    """

    def __init__(self, components: np.ndarray, k: int):
        self.shape = components.shape
        self._positions = np.argsort(components, axis=None, kind="stable")
        self._bounds = np.searchsorted(components.ravel()[self._positions], np.arange(k + 1))

    @classmethod
    def near(cls, codes: np.ndarray, means: np.ndarray) -> "_Candidates":
        """The `NEAR` components whose means [K, d] are nearest to each code of [n, d]."""
        if len(means) <= NEAR:
            return cls.all(len(codes), len(means))
        squares, nearest = np.square(means).sum(axis=1), np.empty((len(codes), NEAR), np.int64)

        def find(index: int) -> None:
            block = slice(index * BLOCK, (index + 1) * BLOCK)
            distances = squares - 2 * codes[block] @ means.T
            nearest[block] = np.argpartition(distances, NEAR, axis=1)[:, :NEAR]

        _for_each(-(-len(codes) // BLOCK), find)
        return cls(nearest, len(means))

    @classmethod
    def all(cls, n: int, k: int) -> "_Candidates":
        """All k components for each of n codes."""
        return cls(np.broadcast_to(np.arange(k), (n, k)), k)

    def __len__(self) -> int:
        """Number of components K."""
        return len(self._bounds) - 1

    def of(self, component: int) -> tuple[np.ndarray, np.ndarray]:
        """The rows of the codes that can belong to a component, and its positions in a flattened array [n, c]."""
        positions = self._positions[self._bounds[component] : self._bounds[component + 1]]
        return positions // self.shape[1], positions


def _fit(white: np.ndarray, whitening: Whitening, k: int, seed: int) -> Parameters:
    """Run k-means, then EM. k-means clusters the codes themselves, so that directions of high variance count more."""
    from sklearn.cluster import KMeans, kmeans_plusplus

    codes = whitening.undo(white)
    subset = codes[np.sort(permutation(len(codes), seed, Stream.GMM_KMEANS)[:START_CODES])]
    with threadpool_limits(1, "openmp"):  # with several threads, the order of summation and so the last digits vary
        # scikit-learn's default is the best of several trials for each center. With hundreds of centers, this takes
        # longer than EM and prefers remote codes, whose small clusters make held-out codes less likely.
        centers, _ = kmeans_plusplus(subset, k, random_state=seed, n_local_trials=1)
        labels = KMeans(k, init=centers, n_init=1, max_iter=START_ITERATIONS).fit(subset).predict(codes)
    parameters = _m_step(white, _Candidates(labels[:, None], k), np.ones((len(white), 1), np.float32))
    for _ in _progress(ITERATIONS if k > 1 else 0, k):
        parameters = _em_step(white, whitening, *parameters)
    return parameters


def _progress(iterations: int, k: int) -> Iterable[int]:
    """Iterations of EM for k components, with a progress bar."""
    return tqdm(range(iterations), desc=f"fitting gmm, {k} components", unit="iteration", disable=None, leave=False)


def _em_step(white: np.ndarray, whitening: Whitening, *parameters: np.ndarray) -> Parameters:
    """One iteration of truncated EM, in which a code can belong only to the components with the nearest means."""
    candidates = _Candidates.near(whitening.undo(white), whitening.undo(parameters[1].astype(np.float32)))
    joint = _log_joint(white, candidates, *parameters)
    return _m_step(white, candidates, np.exp(joint - logsumexp(joint, axis=1, keepdims=True)))


def _m_step(white: np.ndarray, candidates: _Candidates, responsibilities: np.ndarray) -> Parameters:
    """Parameters that fit codes [n, d] with responsibilities [n, c] of their candidates (PRML 9.24 to 9.26)."""
    d, k = white.shape[1], len(candidates)
    counts, means, covariances = np.empty(k), np.empty((k, d)), np.empty((k, d, d))

    def fit(j: int) -> None:
        rows, positions = candidates.of(j)
        weights = responsibilities.ravel()[positions]
        members = weights > NEGLIGIBLE  # in so many dimensions, nearly all responsibilities are 0 or 1
        weights, codes = weights[members], white[rows[members]]
        counts[j] = weights.sum(dtype=np.float64) + np.finfo(np.float32).tiny
        means[j] = weights @ codes / counts[j]
        centred = (codes - means[j].astype(np.float32)) * np.sqrt(weights)[:, None]
        covariances[j] = centred.T @ centred / counts[j] + REGULAR * np.eye(d)

    _for_each(k, fit)
    return counts / counts.sum(), means, covariances


def _log_densities(white: np.ndarray, *parameters: np.ndarray) -> np.ndarray:
    """Log densities [n] of codes [n, d] under the mixture of all components, without truncation."""
    return logsumexp(_log_joint(white, _Candidates.all(len(white), len(parameters[0])), *parameters), axis=1)


def _log_joint(
    white: np.ndarray, candidates: _Candidates, weights: np.ndarray, means: np.ndarray, covariances: np.ndarray
) -> np.ndarray:
    """log(weight_k N(x | mean_k, covariance_k)) of codes [n, d] and their candidates k, float32 [n, c]."""
    d = means.shape[1]
    constants = np.log(np.maximum(weights, 1e-300)) - 0.5 * d * np.log(2 * np.pi)
    joint = np.empty(candidates.shape, np.float32)

    def evaluate(j: int) -> None:
        rows, positions = candidates.of(j)
        lower = np.linalg.cholesky(covariances[j].astype(np.float64))
        inverse = solve_triangular(lower, np.eye(d), lower=True)
        standardized = white[rows] @ inverse.T.astype(np.float32) - (inverse @ means[j]).astype(np.float32)
        constant = constants[j] - np.log(np.diagonal(lower)).sum()
        joint.ravel()[positions] = constant - 0.5 * np.einsum("nj,nj->n", standardized, standardized)

    _for_each(len(candidates), evaluate)
    return joint


def _for_each(count: int, action: Callable[[int], None]) -> None:
    """Call `action` with 0, 1, ..., count - 1 in as many threads as there are cores.

    The products of one component or block are too small to be divided between the threads of a library.
    """
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(os.cpu_count()) as pool:
        for _ in pool.map(action, range(count)):
            pass
