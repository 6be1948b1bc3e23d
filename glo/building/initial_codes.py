"""Initial codes: where each code starts before training (section 3.1 of the paper: PCA or random)."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from glo.building.spool import Spool
from glo.data.randomness import Stream, random_generator
from glo.runtime.errors import UserError

PART_BYTES = 1 << 26
OVERSAMPLING, ITERATIONS = 32, 6  # directions beside those asked for, and passes: the variance is then right to 0.1 %
DEFAULT_DIMENSION = 128
ROUNDING = 1e-6  # a spread of codes below this is none: all images are the same


def random_codes(distribution: str, n: int, dimension: int, seed: int) -> Iterator[np.ndarray]:
    """float32 blocks of [n, d]: `Gaussian` N(0, 1) or `Uniform` on [-1, 1] in each coordinate, not yet projected."""
    random = random_generator(seed, Stream.INITIAL_CODES)
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
    def fit(cls, images: np.ndarray | Spool, dimension: int, seed: int) -> "PCACodes":
        """Fit on training images, uint8 [n, H, W, C]. Raises `UserError` if d is not from 1 to what they allow.

        By randomized subspace iteration (Halko, Martinsson, Tropp 2011): each pass multiplies a few more than d
        directions by the covariance, reading the images part by part.
        """
        n, size = len(images), math.prod(images.shape[1:])
        most = most_components(n, size)
        if not 1 <= dimension <= most:
            raise UserError(
                f"--dimension {dimension} is more than PCA can give: {n} training images of {size} values "
                f"allow at most --dimension {most}; --distribution Gaussian has no such limit"
            )
        parts = list(_parts(n, size))
        total, squares = np.zeros(size), 0.0
        for part in parts:
            pixels = _pixels(images[part])
            total += pixels.sum(axis=0, dtype=np.float64)
            squares += float(np.einsum("ij,ij->", pixels, pixels, dtype=np.float64))
        mean = (total / n).astype(np.float32)
        variance = max(0.0, squares - n * float(np.square(total / n).sum()))
        random = random_generator(seed, Stream.PCA_DIRECTIONS)
        directions = random.standard_normal((size, min(dimension + OVERSAMPLING, size)))
        for _ in tqdm(range(ITERATIONS), desc="PCA", unit="pass", disable=None, leave=False):
            product = np.zeros_like(directions)
            basis = np.linalg.qr(directions)[0].astype(np.float32)
            for part in parts:
                centred = _pixels(images[part], mean)
                product += centred.T @ (centred @ basis)
            directions = product
        basis = np.linalg.qr(directions)[0].astype(np.float32)
        within = np.concatenate([_pixels(images[part], mean) @ basis for part in parts])
        variances, axes = np.linalg.eigh(within.T.astype(np.float64) @ within)
        components = (basis @ axes[:, : -dimension - 1 : -1]).T
        # Either sign of a component will do; the largest weight is made positive, so that it is always the same one.
        largest = np.abs(components).argmax(axis=1)
        components *= np.sign(components[np.arange(dimension), largest])[:, None]
        codes = within @ axes[:, -dimension:]
        scale = float(np.percentile(np.linalg.norm(codes, axis=1), 95))
        explained = float(variances[-dimension:].sum() / variance) if scale > ROUNDING else 0.0
        return cls(mean, components.astype(np.float32), scale if scale > ROUNDING else 1.0, min(1.0, explained))

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """The codes of images uint8 [n, H, W, C], float32 [n, d], not yet projected."""
        parts = _parts(len(images), math.prod(images.shape[1:]))
        raw = [_pixels(images[part], self.mean) @ self.components.T for part in parts]
        return np.concatenate(raw) / np.float32(self.scale)


def most_components(n: int, size: int) -> int:
    """The largest PCA dimension of n images of `size` values: n points span n - 1 directions about their mean."""
    return min(n - 1, size)


def fit_rows(rows: np.ndarray, most: int, seed: int) -> np.ndarray:
    """The training rows that PCA is fitted on, ascending: all of them, or a seeded choice of `most`."""
    if len(rows) <= most:
        return rows
    return np.sort(random_generator(seed, Stream.PCA_IMAGES).choice(rows, most, replace=False))


def _parts(n: int, width: int) -> Iterator[slice]:
    """Slices that cover n rows of `width` float32 values in order, each of `PART_BYTES` or a single row."""
    step = max(1, PART_BYTES // (4 * width))
    for start in range(0, n, step):
        yield slice(start, min(start + step, n))


def _pixels(images: np.ndarray, mean: np.ndarray | float = 0.0) -> np.ndarray:
    """Pixels of [n, H, W, C] in [0, 1] about `mean`, float32 [n, H * W * C], in no more memory than that."""
    flat = images.reshape(len(images), -1).astype(np.float32)
    flat /= 255
    flat -= mean
    return flat
