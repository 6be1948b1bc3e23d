"""Nearest images by the Euclidean distance of pixels or of other features, or nearest codes."""

from collections.abc import Callable

import numpy as np

from glo.data.lazy_array import Rows

BLOCK_BYTES = 1 << 28  # float32 pixels of the images that are compared at once
FEW = 8  # for at most this many neighbors, repeated searches for the minimum are faster than a partition
QUERIES, IMAGES = 1024, 8192  # at most this many are compared at once: their distances take some tens of megabytes


def pixels(images: np.ndarray) -> np.ndarray:
    """All pixels of images [n, ...], float32 [n, width]."""
    return images.reshape(len(images), -1).astype(np.float32)


def spectra(images: np.ndarray) -> np.ndarray:
    """Magnitudes of the Fourier coefficients of images [n, H, W, C], float32 [n, width].

    They stay the same if an image is shifted cyclically, and hence if it is shifted before a uniform background.
    """
    coefficients = np.fft.rfft2(images.astype(np.float32), axes=(1, 2), norm="ortho")
    return np.abs(coefficients).reshape(len(images), -1).astype(np.float32)


def nearest(
    queries: np.ndarray | Rows,
    images: np.ndarray | Rows,
    k: int = 1,
    hole: np.ndarray | None = None,
    features: Callable[[np.ndarray], np.ndarray] = pixels,
) -> tuple[np.ndarray, np.ndarray]:
    """For each query, uint8 [n, H, W, C], find the k nearest of the images, uint8 [N, H, W, C], nearest first.

    hole: bool [H, W, 1], pixels that are not compared. features: `pixels`, or another function of a block of images,
    such as `spectra`. Codes float32 [n, d] and [N, d] can take the place of images.
    Returns Euclidean distances float32 [n, min(k, N)], in grey levels from 0 to 255, and indices int64 of that shape.
    Images are read once, in blocks, so that memory does not grow with N.
    """
    width = int(np.prod(queries.shape[1:]))
    step = min(IMAGES, max(1, BLOCK_BYTES // (4 * width)))
    distances = np.empty((len(queries), 0), np.float32)
    indices = np.empty((len(queries), 0), np.int64)
    for start in range(0, len(images), step):
        block = features(_known(images[start : start + step], hole))
        parts = [
            _within(features(_known(queries[i : i + QUERIES], hole)), block, k) for i in range(0, len(queries), QUERIES)
        ]
        block_distances, block_indices = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        distances = np.concatenate([distances, block_distances], axis=1)
        indices = np.concatenate([indices, block_indices + start], axis=1)
        order = np.argsort(distances, axis=1, kind="stable")[:, :k]
        distances, indices = np.take_along_axis(distances, order, 1), np.take_along_axis(indices, order, 1)
    return distances, indices


def _within(queries: np.ndarray, images: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Distances and indices of the k nearest images of one block, sorted by index. Arrays are float32 [., width]."""
    # |q - x|^2 - |q|^2 has the same order along each row and takes only one matrix product.
    squares = queries @ (-2 * images.T)
    squares += np.einsum("ij,ij->i", images, images)
    if k <= FEW:
        columns = np.empty((len(queries), min(k, len(images))), np.int64)
        everyone = np.arange(len(queries))
        for column in columns.T:
            column[:] = squares.argmin(axis=1)
            squares[everyone, column] = np.inf
        indices = np.sort(columns, axis=1)
    else:
        indices = np.sort(np.argpartition(squares, min(k, len(images)) - 1, axis=1)[:, :k], axis=1)
    # Computed from differences, since the sums above are rounded: the distance of an image to itself is exactly 0.
    distances = [np.linalg.norm(queries - images[column], axis=1) for column in indices.T]
    return np.stack(distances, axis=1), indices


def _known(images: np.ndarray, hole: np.ndarray | None) -> np.ndarray:
    """The pixels outside the hole: the images [n, H, W, C] without one, otherwise [n, pixels, C]."""
    return images if hole is None else images[:, ~hole[..., 0]]
