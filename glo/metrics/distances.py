"""Distances between two sets of samples, real and generated: of features, of pixels, of histograms. NumPy, in float64.

Each is 0, or about 0, for two samples of one distribution. All depend on the number of samples, so that none means
much without it, and without the same distance between real sets of that size.
"""

import numpy as np

BLOCK = 2048  # rows of a block, so that no matrix of all pairs is held
DIRECTIONS = 512
LEVELS = 256


def frechet(x: np.ndarray, y: np.ndarray) -> float:
    """Fréchet distance of the normal distributions fitted to features [n, d] and [m, d] (Heusel et al. 2017).

    |mean_x - mean_y|^2 + tr(C_x + C_y - 2 (C_x C_y)^(1/2)), the squared 2-Wasserstein distance of the two. The
    covariances divide by n - 1. With no more samples than dimensions they are singular, and the distance is too large.
    """
    x, y = x.astype(np.float64), y.astype(np.float64)
    between = x.mean(axis=0) - y.mean(axis=0)
    cx, cy = np.atleast_2d(np.cov(x, rowvar=False)), np.atleast_2d(np.cov(y, rowvar=False))
    # The trace of (C_x C_y)^(1/2) is that of (R C_y R)^(1/2) with R = C_x^(1/2): symmetric, so that no root is complex.
    variances, axes = np.linalg.eigh(cx)
    root = axes * np.sqrt(np.maximum(variances, 0)) @ axes.T
    overlap = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ cy @ root), 0)).sum()
    return float(max(0.0, between @ between + np.trace(cx) + np.trace(cy) - 2 * overlap))


def kid(x: np.ndarray, y: np.ndarray) -> float:
    """Kernel distance of features [n, d] and [m, d] (Binkowski et al. 2018): squared MMD, kernel (x.y / d + 1)^3.

    The unbiased estimate from all pairs, not the mean over random subsets: it may be a little below 0. n and m > 1.
    """
    x, y = x.astype(np.float64), y.astype(np.float64)
    n, m = len(x), len(y)
    within_x = (_kernel_sum(x, x) - _kernel(np.einsum("ij,ij->i", x, x), x.shape[1]).sum()) / (n * (n - 1))
    within_y = (_kernel_sum(y, y) - _kernel(np.einsum("ij,ij->i", y, y), y.shape[1]).sum()) / (m * (m - 1))
    return float(within_x + within_y - 2 * _kernel_sum(x, y) / (n * m))


def sliced_wasserstein(x: np.ndarray, y: np.ndarray, seed: int = 0) -> float:
    """Sliced 1-Wasserstein distance of samples [n, d] and [n, d]: the mean over `DIRECTIONS` random unit directions.

    Along a line, the distance of two sets of equal size is the mean distance of their sorted values. Raises
    `ValueError` for sets of different sizes.
    """
    if len(x) != len(y):
        raise ValueError(f"sets of {len(x)} and {len(y)} samples: they must be equally many")
    directions = np.random.default_rng(seed).standard_normal((x[:1].size, DIRECTIONS))
    directions /= np.linalg.norm(directions, axis=0)
    along = [np.sort(_projected(samples, directions), axis=0) for samples in (x, y)]
    return float(np.abs(along[0] - along[1]).mean())


def chi_square(x: np.ndarray, y: np.ndarray) -> float:
    """Chi-square distance of the pixel histograms p, q of images uint8 [n, H, W, C] and [m, H, W, C], in [0, 1].

    1/2 sum (p - q)^2 / (p + q) over the 256 levels, the mean over the channels.
    """
    distances = []
    for channel in range(x.shape[-1]):
        counts = [np.bincount(images[..., channel].ravel(), minlength=LEVELS) for images in (x, y)]
        p, q = (count / count.sum() for count in counts)
        seen = p + q > 0
        distances.append(0.5 * np.sum((p - q)[seen] ** 2 / (p + q)[seen]))
    return float(np.mean(distances))


def _kernel(products: np.ndarray, dimension: int) -> np.ndarray:
    return (products / dimension + 1) ** 3


def _kernel_sum(x: np.ndarray, y: np.ndarray) -> float:
    blocks = (x[i : i + BLOCK] @ y[j : j + BLOCK].T for i in range(0, len(x), BLOCK) for j in range(0, len(y), BLOCK))
    return sum(float(_kernel(products, x.shape[1]).sum()) for products in blocks)


def _projected(samples: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """[n, DIRECTIONS]; uint8 pixels as they are in [0, 1]."""
    scale = 255 if samples.dtype == np.uint8 else 1
    parts = (samples[i : i + BLOCK].reshape(-1, len(directions)) for i in range(0, len(samples), BLOCK))
    return np.concatenate([part.astype(np.float64) @ directions / scale for part in parts])
