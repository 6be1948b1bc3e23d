"""Initial codes: where each code starts before training (section 3.1 of the paper: PCA or random)."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from glo.errors import UserError

# PCA is fitted on all training rows if they take no more than this as float32, else on a seeded sample that does.
FIT_BYTES = 1 << 30
PART_BYTES = 1 << 26
DEFAULT_DIMENSION = 128
ROUNDING = 1e-6  # a spread of codes below this is none: all images are the same


def project(codes: np.ndarray, projection: str) -> np.ndarray:
    """Project each row of [n, d]: `ball` z / max(1, |z|), `sphere` z / |z| (a zero row stays), `none` unchanged."""
    if projection == "none":
        return codes
    norms = np.linalg.norm(codes, axis=1, keepdims=True)
    floor = 1.0 if projection == "ball" else np.finfo(np.float32).tiny
    return (codes / np.maximum(norms, floor)).astype(codes.dtype)


def random_codes(distribution: str, n: int, dimension: int, seed: int) -> Iterator[np.ndarray]:
    """float32 blocks of [n, d]: `Gaussian` N(0, 1) or `Uniform` on [-1, 1] in each coordinate, not yet projected."""
    random = np.random.default_rng([seed, 1])
    for part in _parts(n, dimension):
        shape = (part.stop - part.start, dimension)
        if distribution == "Gaussian":
            yield random.standard_normal(shape, np.float32)
        else:
            yield random.random(shape, np.float32) * 2 - 1


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
        """Fit on training images, uint8 [n, H, W, C]. Raises `UserError` if d is not from 1 to what they allow."""
        from sklearn.decomposition import PCA

        size = math.prod(images.shape[1:])
        most = most_components(len(images), size)
        if not 1 <= dimension <= most:
            raise UserError(
                f"--dimension {dimension} is more than PCA can give: {len(images)} training images of {size} values "
                f"allow at most --dimension {most}; --distribution Gaussian has no such limit"
            )
        with np.errstate(invalid="ignore"):  # images that are all the same have 0 of 0 variance
            pca = PCA(dimension, svd_solver="auto", copy=False, random_state=seed).fit(_pixels(images))
        explained = float(np.nan_to_num(pca.explained_variance_ratio_.sum()))
        unscaled = cls(pca.mean_.astype(np.float32), pca.components_.astype(np.float32), 1.0, explained)
        norms = [np.linalg.norm(unscaled(images[part]), axis=1) for part in _parts(len(images), size)]
        scale = float(np.percentile(np.concatenate(norms), 95))
        return replace(unscaled, scale=scale if scale > ROUNDING else 1.0)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """The codes of images uint8 [n, H, W, C], float32 [n, d], not yet projected."""
        return (_pixels(images) - self.mean) @ self.components.T / np.float32(self.scale)


def most_components(n: int, size: int) -> int:
    """The largest PCA dimension of n images of `size` values: n points span n - 1 directions about their mean."""
    return min(n - 1, size)


def fit_rows(rows: np.ndarray, image_size: int, seed: int) -> np.ndarray:
    """The training rows that PCA is fitted on, ascending: all of them where `FIT_BYTES` allows."""
    most = max(1, FIT_BYTES // (4 * image_size))
    if len(rows) <= most:
        return rows
    return np.sort(np.random.default_rng([seed, 2]).choice(rows, most, replace=False))


def _parts(n: int, width: int) -> Iterator[slice]:
    """Slices that cover n rows of `width` float32 values in order, each some tens of megabytes."""
    step = max(1, PART_BYTES // (4 * width))
    for start in range(0, n, step):
        yield slice(start, min(start + step, n))


def _pixels(images: np.ndarray) -> np.ndarray:
    flat = images.reshape(len(images), -1).astype(np.float32)
    flat /= 255
    return flat
