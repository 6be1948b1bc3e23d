"""Copying: whether samples are nearer to training images than held-out images are, by their features.

All measures compare samples with held-out images, which come from the distribution of the training images and copy none
of them. They take features of any network, float32 [n, d], and the Euclidean distance between them.
"""

from dataclasses import dataclass

import numpy as np

from glo.data.randomness import Stream, permutation
from glo.inference.neighbors import nearest

CELLS = 20  # cells of the feature space, at most
LEAST = 20  # held-out images, and samples, of a cell that is measured
ITERATIONS = 20  # of k-means
FITTED = 20_000  # training images that k-means is fitted to, at most
NORMAL = 1.96  # half the width of a 95 % interval, in standard errors
NEGLIGIBLE = 0.015  # a difference of `nearer` that does not count, even if it is significant


@dataclass(frozen=True)
class Share:
    """A probability in [0, 1], estimated with this standard error."""

    value: float
    error: float

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % confidence interval."""
        return max(0.0, self.value - NORMAL * self.error), min(1.0, self.value + NORMAL * self.error)


@dataclass(frozen=True)
class Copying:
    """How near samples are to training images.

    n: number of samples. cells: number of cells with enough held-out images and samples; if there is none, `c_t` and
        `nearer` are not measured, and None.
    c_t: the test statistic of `CopyingTest`: about 0 for new images, below 0 for copies. It grows with n.
    nearer: probability that a sample is nearer to a training image than a held-out image is; 0.5 for new images.
    authentic: share of samples that are farther from their nearest training image than this image is from its own.
    """

    n: int
    cells: int
    c_t: float | None
    nearer: Share | None
    authentic: float

    def side(self, fits: "Copying | None" = None) -> int | None:
        """1 if samples are nearer to training images than others are, -1 if they are farther, 0 if neither.

        The others are held-out images or, if `fits` is given and measured, decoded fits of them, which are as blurred
        as samples. None if `nearer` is not measured.
        """
        if self.nearer is None:
            return None
        expected = fits.nearer if fits and fits.nearer else Share(0.5, 0.0)
        difference = self.nearer.value - expected.value
        error = np.hypot(self.nearer.error, expected.error)
        return int(np.sign(difference)) if abs(difference) > max(NEGLIGIBLE, NORMAL * error) else 0


class TrainingSet:
    """Features of training images, and the distances of other images, and of their own, to the nearest of them."""

    def __init__(self, features: np.ndarray):
        """features: float32 [N, d], N > 1."""
        self.features = features
        self._spacings = np.full(len(features), np.nan, np.float32)

    def nearest(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """For features [n, d], the distance to the nearest training image, float32 [n], and its row, int64 [n]."""
        distances, rows = nearest(features, self.features)
        return distances[:, 0], rows[:, 0]

    def spacings(self, rows: np.ndarray) -> np.ndarray:
        """Distances float32 [n] of the training images `rows`, int64 [n], to their nearest other training images."""
        missing = np.unique(rows[np.isnan(self._spacings[rows])])
        if len(missing):  # the nearest image is the image itself, or one that equals it
            self._spacings[missing] = nearest(self.features[missing], self.features, 2)[0][:, 1]
        return self._spacings[rows]


class CopyingTest:
    """The test of Meehan, Chaudhuri and Dasgupta (AISTATS 2020), and authenticity (Alaa et al., ICML 2022).

    k-means divides the features of the training images into cells. In each cell, the distances of samples to their
    nearest training image are compared with those of held-out images by the z-score of the Mann-Whitney U test. C_T is
    the average of these scores, weighted by the numbers of held-out images. Cells with fewer than `LEAST` held-out
    images or samples are left out.
    """

    def __init__(self, train: np.ndarray, held_out: np.ndarray, seed: int = 0):
        """train: features of all training images, float32 [N, d], N > 1. held_out: of held-out images, [m, d], m > 0.

        seed: of k-means.
        """
        self.train = TrainingSet(train)
        count = min(CELLS, max(1, len(held_out) // (2 * LEAST)), len(train))
        self._centers = _centers(train, count, seed)
        self._distances = self._by_cell(held_out, self.train.nearest(held_out)[0])

    def measure(self, samples: np.ndarray) -> Copying:
        """Measure features of samples, float32 [n, d], n > 0."""
        distances, rows = self.train.nearest(samples)
        authentic = float(np.mean(distances > self.train.spacings(rows)))
        cells = [
            (ours, theirs)
            for ours, theirs in zip(self._by_cell(samples, distances), self._distances, strict=True)
            if min(len(ours), len(theirs)) >= LEAST
        ]
        if not cells:
            return Copying(len(samples), 0, None, None, authentic)
        weights = np.array([len(theirs) for _, theirs in cells])
        weights = weights / weights.sum()
        scores = [z_score(*cell) for cell in cells]
        shares = [nearer(*cell) for cell in cells]
        value = weights @ [share.value for share in shares]
        error = np.linalg.norm(weights * [share.error for share in shares])
        return Copying(len(samples), len(cells), float(weights @ scores), Share(float(value), float(error)), authentic)

    def _by_cell(self, features: np.ndarray, distances: np.ndarray) -> list[np.ndarray]:
        """Divide distances [n] by the cells of features [n, d]."""
        cells = nearest(features, self._centers)[1][:, 0]
        return [distances[cells == cell] for cell in range(len(self._centers))]


def nearer(distances: np.ndarray, others: np.ndarray) -> Share:
    """Probability that one of the distances [n] is smaller than one of the others [m]; ties count one half.

    n and m are at least 2. The standard error is that of DeLong, DeLong and Clarke-Pearson (1988): the value is a mean
    over pairs, and its variance is that of the means over each partner divided by the numbers of both.
    """
    smaller, larger = _share_below(others, distances), 1 - _share_below(distances, others)
    variance = smaller.var(ddof=1) / len(others) + larger.var(ddof=1) / len(distances)
    return Share(float(smaller.mean()), float(np.sqrt(variance)))


def z_score(distances: np.ndarray, others: np.ndarray) -> float:
    """z-score of the Mann-Whitney U test of distances [n] against others [m], below 0 if the distances are smaller.

    The variance is corrected for ties. 0 if all distances are equal.
    """
    n, m = len(distances), len(others)
    ties = np.unique(np.concatenate([distances, others]), return_counts=True)[1].astype(np.float64)
    variance = n * m / 12 * (n + m + 1 - np.sum(ties**3 - ties) / ((n + m) * (n + m - 1)))
    excess = n * m * (0.5 - _share_below(others, distances).mean())
    return float(excess / np.sqrt(variance)) if variance > 0 else 0.0


def membership(features: np.ndarray, half: np.ndarray, other: np.ndarray) -> Share:
    """How often samples are nearer to one half of the training images than to the other; ties count one half.

    features: of samples of a sampler that was fitted to the codes of one half, float32 [n, d]. half, other: features of
    the training images of both halves, [N / 2, d]. 0.5 for samples that reveal nothing about who was in the half.
    """
    to_half, to_other = nearest(features, half)[0][:, 0], nearest(features, other)[0][:, 0]
    share = float(np.mean((to_half < to_other) + 0.5 * (to_half == to_other)))
    return Share(share, float(np.sqrt(share * (1 - share) / len(features))))


def _share_below(values: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """Share of `limits` [m] that are below the values [n], ties one half, float64 [n]: the means over each partner."""
    limits = np.sort(limits)
    below = np.searchsorted(limits, values, "left") + np.searchsorted(limits, values, "right")
    return below / (2 * len(limits))


def _centers(features: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Centres of `count` cells by k-means (Lloyd's algorithm) of features [N, d], float32 [count, d]."""
    fitted = features[np.sort(permutation(len(features), seed, Stream.COPYING_CELLS)[:FITTED])]
    centers = fitted[permutation(len(fitted), seed, Stream.COPYING_CELLS, part=1)[:count]]
    for _ in range(ITERATIONS):
        cells = nearest(fitted, centers)[1][:, 0]
        means = [
            fitted[cells == cell].mean(axis=0) if (cells == cell).any() else centers[cell] for cell in range(count)
        ]
        centers = np.stack(means)
    return centers
