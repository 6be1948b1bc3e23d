"""Initial codes: where each code starts before training (section 3.1 of the paper: PCA or random)."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from glo.errors import UserError

# PCA is fitted on all training rows if they take no more than this as float32, else on a seeded sample that does.
FIT_BYTES = 1 << 30
DEFAULT_DIMENSION = 64


def project(codes: np.ndarray, projection: str) -> np.ndarray:
    """Project each row of [n, d]: `ball` z / max(1, |z|), `sphere` z / |z| (a zero row stays), `none` unchanged."""
    if projection == "none":
        return codes
    norms = np.linalg.norm(codes, axis=1, keepdims=True)
    floor = 1.0 if projection == "ball" else np.finfo(np.float32).tiny
    return (codes / np.maximum(norms, floor)).astype(codes.dtype)


def random_codes(distribution: str, n: int, dimension: int, seed: int) -> np.ndarray:
    """float32 [n, d]: `Gaussian` N(0, 1) or `Uniform` on [-1, 1] in each coordinate, not yet projected."""
    random = np.random.default_rng([seed, 1])
    if distribution == "Gaussian":
        return random.standard_normal((n, dimension), np.float32)
    return random.random((n, dimension), np.float32) * 2 - 1


@dataclass(frozen=True)
class PCACodes:
    """Codes from principal components: (x - mean) @ components.T / scale, x the pixels as float32 in [0, 1].

    mean: [D]. components: [d, D], orthonormal rows, by falling variance. scale: the 95th percentile of the norms of
    the fitted codes, so that nearly all start inside the unit ball with their relative lengths kept; forcing every
    norm to 1 would throw away how far each image is from the mean.
    explained: share of the variance that the d components carry.
    """

    mean: np.ndarray
    components: np.ndarray
    scale: float
    explained: float

    @classmethod
    def fit(cls, images: np.ndarray, dimension: int, seed: int) -> "PCACodes":
        """Fit on training images, uint8 [n, H, W, C]. Raises `UserError` if d exceeds what they allow."""
        from sklearn.decomposition import PCA

        pixels = _pixels(images)
        most = most_components(len(pixels), pixels.shape[1])
        if dimension > most:
            raise UserError(
                f"--dimension {dimension} is more than PCA can give: {len(pixels)} training images of "
                f"{pixels.shape[1]} values allow at most --dimension {most}"
            )
        pca = PCA(dimension, svd_solver="auto", copy=False, random_state=seed).fit(pixels)
        components = pca.components_.astype(np.float32)
        fitted = cls(pca.mean_.astype(np.float32), components, 1.0, float(pca.explained_variance_ratio_.sum()))
        scale = float(np.percentile(np.linalg.norm(fitted(images), axis=1), 95))
        return cls(fitted.mean, components, scale or 1.0, fitted.explained)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """The codes of images uint8 [n, H, W, C], float32 [n, d], not yet projected."""
        return (_pixels(images) - self.mean) @ self.components.T / np.float32(self.scale)


def most_components(n: int, size: int) -> int:
    """The largest PCA dimension of n images of `size` values."""
    return min(n, size)


def fit_rows(rows: np.ndarray, image_size: int, seed: int) -> np.ndarray:
    """The training rows that PCA is fitted on, ascending: all of them where `FIT_BYTES` allows."""
    most = max(1, FIT_BYTES // (4 * image_size))
    if len(rows) <= most:
        return rows
    return np.sort(np.random.default_rng([seed, 2]).choice(rows, most, replace=False))


def blockwise(codes: np.ndarray, step: int = 65536) -> Iterator[np.ndarray]:
    """The rows of an array in order, some at a time."""
    for start in range(0, len(codes), step):
        yield codes[start : start + step]


def _pixels(images: np.ndarray) -> np.ndarray:
    flat = images.reshape(len(images), -1).astype(np.float32)
    flat /= 255
    return flat
