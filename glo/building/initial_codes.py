"""Initial codes: where each code starts before training (section 3.1 of the paper: PCA or random)."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from glo.building.spool import Spool
from glo.data.randomness import Stream, random_generator
from glo.runtime import memory
from glo.runtime.errors import UserError

PART_BYTES = 1 << 26
# Extra directions and passes of the randomized PCA: with these, the explained variance is accurate to 0.1 %.
OVERSAMPLING, ITERATIONS = 32, 6
DEFAULT_DIMENSION = 128
MIN_SCALE = 1e-6  # a smaller scale is rounding error: all images are the same


def random_codes(distribution: str, n: int, dimension: int, seed: int) -> Iterator[np.ndarray]:
    """Random codes float32 [n, dimension], not yet projected, in blocks of rows.

    distribution: `Gaussian` draws each coordinate from N(0, 1), `Uniform` from the interval [-1, 1].
    """
    random = random_generator(seed, Stream.INITIAL_CODES)
    for part in _parts(n, dimension):
        shape = (part.stop - part.start, dimension)
        if distribution == "Gaussian":
            yield random.standard_normal(shape, np.float32)
        else:
            yield random.random(shape, np.float32) * 2 - 1


@dataclass(frozen=True)
class PCACodes:
    """Codes from principal components: (x - mean) @ components.T / scale, where x are the pixels, scaled to [0, 1].

    mean: float32 [D], D = H * W * C.
    components: float32 [d, D], orthonormal rows in order of decreasing variance.
    scale: 95th percentile of the norms of the unscaled training codes. With it, 95 % of the codes start inside the unit
        ball and keep their relative lengths. Normalizing every code would discard how far each image is from the mean.
    explained_variance_ratio: share of the variance that the d components explain, in [0, 1].
    """

    mean: np.ndarray
    components: np.ndarray
    scale: float
    explained_variance_ratio: float

    @classmethod
    def fit(cls, images: np.ndarray | Spool, dimension: int, seed: int) -> "PCACodes":
        """Fit to training images uint8 [n, H, W, C] by randomized subspace iteration (Halko, Martinsson, Tropp 2011).

        Each pass multiplies `dimension` + `OVERSAMPLING` directions by the covariance matrix, and reads the images in
        parts. Raises `UserError` if `dimension` is not between 1 and `max_components(n, H * W * C)`, and if the
        directions do not fit into memory.
        """
        n, size = len(images), math.prod(images.shape[1:])
        require_pca(n, size, dimension)
        count = _directions(n, size, dimension)
        parts = list(_parts(n, size))
        pixel_sum, sum_of_squares = np.zeros(size), 0.0
        for part in parts:
            pixels = _pixels(images[part])
            pixel_sum += pixels.sum(axis=0, dtype=np.float64)
            sum_of_squares += float(np.einsum("ij,ij->", pixels, pixels, dtype=np.float64))
        mean = (pixel_sum / n).astype(np.float32)
        total_variance = max(0.0, sum_of_squares - n * float(np.square(pixel_sum / n).sum()))
        random = random_generator(seed, Stream.PCA_DIRECTIONS)
        directions = random.standard_normal((size, count))
        for _ in tqdm(range(ITERATIONS), desc="PCA", unit="pass", disable=None, leave=False):
            product = np.zeros_like(directions)
            basis = np.linalg.qr(directions)[0].astype(np.float32)
            for part in parts:
                centred = _pixels(images[part], mean)
                product += centred.T @ (centred @ basis)
            directions = product
        basis = np.linalg.qr(directions)[0].astype(np.float32)
        projected = np.concatenate([_pixels(images[part], mean) @ basis for part in parts])
        variances, axes = np.linalg.eigh(projected.T.astype(np.float64) @ projected)  # ascending
        components = (basis @ axes[:, : -dimension - 1 : -1]).T
        # The sign of a component is arbitrary. Making its largest weight positive keeps it the same on every machine.
        largest = np.abs(components).argmax(axis=1)
        components *= np.sign(components[np.arange(dimension), largest])[:, None]
        codes = projected @ axes[:, -dimension:]
        scale = float(np.percentile(np.linalg.norm(codes, axis=1), 95))
        if scale <= MIN_SCALE:
            return cls(mean, components.astype(np.float32), scale=1.0, explained_variance_ratio=0.0)
        ratio = float(variances[-dimension:].sum() / total_variance)
        return cls(mean, components.astype(np.float32), scale, min(1.0, ratio))

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """The codes float32 [n, d] of images uint8 [n, H, W, C], not yet projected."""
        parts = _parts(len(images), math.prod(images.shape[1:]))
        unscaled = [_pixels(images[part], self.mean) @ self.components.T for part in parts]
        return np.concatenate(unscaled) / np.float32(self.scale)


def require_pca(n: int, size: int, dimension: int) -> None:
    """Raise `UserError` if n training images of `size` values have no PCA of this dimension, or one that needs more
    than the free memory."""
    limit = max_components(n, size)
    if limit < 1:
        raise UserError(
            f"PCA needs at least 2 training images, and there {'is only 1' if n == 1 else 'are none'}: "
            "add images, or use --distribution Gaussian"
        )
    if not 1 <= dimension <= limit:
        raise UserError(
            f"--dimension {dimension} is more than PCA can give: {n} training images of {size} values "
            f"allow at most --dimension {limit}; --distribution Gaussian has no such limit"
        )
    count = _directions(n, size, dimension)
    # Directions, their product with the covariance and the copies that QR makes; later the images in the basis, in two
    # precisions, their codes, and the eigenvectors. At all times some parts of the images.
    iterating = 4 * size * (count * 10 + 8)
    solving = 4 * size * count + n * (12 * count + 8 * dimension) + 24 * count**2
    memory.require(
        max(iterating, solving) + 3 * PART_BYTES,
        f"PCA of {n} images of {size} values to {dimension} dimensions",
        "lower --dimension or --pca_samples, or use --distribution Gaussian",
    )


def _directions(n: int, size: int, dimension: int) -> int:
    """The number of directions of the randomized PCA. n images span at most n, however many pixels they have."""
    return min(dimension + OVERSAMPLING, n, size)


def max_components(n: int, size: int) -> int:
    """The largest PCA dimension of n images of `size` values: n points span n - 1 directions about their mean."""
    return min(n - 1, size)


def fit_rows(train_rows: np.ndarray, max_rows: int, seed: int) -> np.ndarray:
    """The rows that PCA is fitted on, int64, ascending: all training rows, or a seeded random choice of `max_rows`."""
    if len(train_rows) <= max_rows:
        return train_rows
    return np.sort(random_generator(seed, Stream.PCA_IMAGES).choice(train_rows, max_rows, replace=False))


def _parts(n: int, width: int) -> Iterator[slice]:
    """Slices that cover n rows of `width` float32 values in order, each of at most `PART_BYTES` or of a single row."""
    step = max(1, PART_BYTES // (4 * width))
    for start in range(0, n, step):
        yield slice(start, min(start + step, n))


def _pixels(images: np.ndarray, mean: np.ndarray | float = 0.0) -> np.ndarray:
    """Images uint8 [n, H, W, C] as float32 [n, H * W * C]: scaled to [0, 1], minus `mean`."""
    flat = images.reshape(len(images), -1).astype(np.float32)  # modified in place, to allocate no second array
    flat /= 255
    flat -= mean
    return flat
