"""Distances between real and generated samples, by features, pixels or histograms, computed with NumPy in float64.

Each distance is about 0 for two large samples of the same distribution. All depend on the number of samples: report
that number, and the same distance between two real sets of that size.
"""

import numpy as np

from glo.data.randomness import Stream, random_generator

BLOCK = 2048  # samples at once, so that the matrix of all pairs is never in memory
SUBSETS, SUBSET = 50, 1000  # of `kid`: number of subsets, and features of each
DIRECTIONS = 512  # of `sliced_wasserstein`
LEVELS = 256  # of uint8 pixels


def frechet(x: np.ndarray, y: np.ndarray) -> float:
    """Fréchet distance of the normal distributions fitted to features [n, d] and [m, d] (Heusel et al. 2017).

    |mean_x - mean_y|^2 + tr(C_x + C_y - 2 (C_x C_y)^(1/2)), their squared 2-Wasserstein distance, with the unbiased
    covariances (divided by n - 1). If n or m is at most d, they are singular and the distance is overestimated.
    """
    x, y = x.astype(np.float64), y.astype(np.float64)
    difference = x.mean(axis=0) - y.mean(axis=0)
    cx, cy = np.atleast_2d(np.cov(x, rowvar=False)), np.atleast_2d(np.cov(y, rowvar=False))
    # (C_x C_y)^(1/2) has the same trace as (R C_y R)^(1/2) with R = C_x^(1/2), which is symmetric and has a real root.
    variances, axes = np.linalg.eigh(cx)
    root = axes * np.sqrt(np.maximum(variances, 0)) @ axes.T
    overlap = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ cy @ root), 0)).sum()
    return float(max(0.0, difference @ difference + np.trace(cx) + np.trace(cy) - 2 * overlap))


def kid(x: np.ndarray, y: np.ndarray, seed: int = 0) -> tuple[float, float]:
    """Kernel inception distance of features [n, d] and [m, d], n and m > 3 (Binkowski et al. 2018).

    Returns the mean and the standard deviation of `squared_mmd` over `SUBSETS` random subsets of `SUBSET` features of
    each, or of half of them where there are fewer than twice as many.
    """
    size = min(SUBSET, len(x) // 2, len(y) // 2)
    values = []
    for part in range(SUBSETS):
        random = random_generator(seed, Stream.KID_SUBSETS, part)
        rows = (random.choice(len(features), size, replace=False) for features in (x, y))
        values.append(squared_mmd(x[next(rows)], y[next(rows)]))
    return float(np.mean(values)), float(np.std(values))


def squared_mmd(x: np.ndarray, y: np.ndarray) -> float:
    """Squared maximum mean discrepancy of features [n, d] and [m, d], n and m > 1, with the kernel (x.y / d + 1)^3.

    The estimate has no bias and may therefore be negative.
    """
    x, y = x.astype(np.float64), y.astype(np.float64)
    n, m = len(x), len(y)
    within_x = (_kernel_sum(x, x) - _kernel(np.einsum("ij,ij->i", x, x), x.shape[1]).sum()) / (n * (n - 1))
    within_y = (_kernel_sum(y, y) - _kernel(np.einsum("ij,ij->i", y, y), y.shape[1]).sum()) / (m * (m - 1))
    return float(within_x + within_y - 2 * _kernel_sum(x, y) / (n * m))


def sliced_wasserstein(x: np.ndarray, y: np.ndarray, seed: int = 0) -> float:
    """Sliced 1-Wasserstein distance of two sets of n samples [n, ...] each.

    The mean of the 1-Wasserstein distances along `DIRECTIONS` random unit vectors. Along a line, the distance of two
    sets of equal size is the mean absolute difference of their sorted values. Pixels uint8 are scaled to [0, 1].
    Raises `ValueError` for sets of different sizes.
    """
    if len(x) != len(y):
        raise ValueError(f"sets of {len(x)} and {len(y)} samples: they must be equally many")
    directions = np.random.default_rng(seed).standard_normal((x[:1].size, DIRECTIONS))
    directions /= np.linalg.norm(directions, axis=0)
    x_sorted, y_sorted = (np.sort(_project(samples, directions), axis=0) for samples in (x, y))
    return float(np.abs(x_sorted - y_sorted).mean())


def chi_square(x: np.ndarray, y: np.ndarray) -> float:
    """Chi-square distance in [0, 1] of the pixel histograms p, q of images uint8 [n, H, W, C] and [m, H, W, C].

    1/2 sum (p - q)^2 / (p + q) over the 256 levels, averaged over the channels.
    """
    distances = []
    for channel in range(x.shape[-1]):
        counts = [np.bincount(images[..., channel].ravel(), minlength=LEVELS) for images in (x, y)]
        p, q = (count / count.sum() for count in counts)
        occurring = p + q > 0
        distances.append(0.5 * np.sum((p - q)[occurring] ** 2 / (p + q)[occurring]))
    return float(np.mean(distances))


def _kernel(products: np.ndarray, dimension: int) -> np.ndarray:
    shifted = products / dimension + 1
    return shifted * shifted * shifted  # a power takes ten times as long


def _kernel_sum(x: np.ndarray, y: np.ndarray) -> float:
    """Sum of the kernel over all pairs of x [n, d] and y [m, d]."""
    blocks = (x[i : i + BLOCK] @ y[j : j + BLOCK].T for i in range(0, len(x), BLOCK) for j in range(0, len(y), BLOCK))
    return sum(float(_kernel(products, x.shape[1]).sum()) for products in blocks)


def _project(samples: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Coordinates float64 [n, DIRECTIONS] of samples [n, ...] along directions [d, DIRECTIONS]."""
    scale = 255 if samples.dtype == np.uint8 else 1
    parts = (samples[i : i + BLOCK].reshape(-1, len(directions)) for i in range(0, len(samples), BLOCK))
    return np.concatenate([part.astype(np.float64) @ directions / scale for part in parts])
