"""Nearest training images, in pixels."""

import numpy as np

from glo.data.lazy_array import Rows

BLOCK_BYTES = 1 << 28
QUERIES, IMAGES = 1024, 8192  # of a block, at most: the matrix of their distances stays at some tens of megabytes


def nearest(
    queries: np.ndarray | Rows, images: np.ndarray | Rows, k: int = 1, hole: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """For each query uint8 [n, H, W, C] the k nearest of images uint8 [N, H, W, C], nearest first.

    Returns Euclidean distances float32 [n, min(k, N)], in grey levels from 0 to 255, and indices int64 of that shape.
    Pixels in the hole, bool [H, W, 1], are not compared.
    Memory is bounded: images are read once, in blocks.
    """
    width = int(np.prod(queries.shape[1:]))
    step = min(IMAGES, max(1, BLOCK_BYTES // (4 * width)))
    distances = np.empty((len(queries), 0), np.float32)
    indices = np.empty((len(queries), 0), np.int64)
    for start in range(0, len(images), step):
        block = _flat(images[start : start + step], hole)
        parts = [_within(_flat(queries[i : i + QUERIES], hole), block, k) for i in range(0, len(queries), QUERIES)]
        found_distances, found = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        distances = np.concatenate([distances, found_distances], axis=1)
        indices = np.concatenate([indices, found + start], axis=1)
        order = np.argsort(distances, axis=1, kind="stable")[:, :k]
        distances, indices = np.take_along_axis(distances, order, 1), np.take_along_axis(indices, order, 1)
    return distances, indices


def _within(queries: np.ndarray, images: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest of one block, in the order of their indices; all arrays are float32 [., width]."""
    # |q - x|^2 without |q|^2, which does not change the order of a row: one product of matrices.
    squares = queries @ (-2 * images.T)
    squares += np.einsum("ij,ij->i", images, images)
    if k == 1:
        found = squares.argmin(axis=1)[:, None]
    else:
        found = np.sort(np.argpartition(squares, min(k, len(images)) - 1, axis=1)[:, :k], axis=1)
    # From the difference, since the sum of squares rounds: the distance to an image itself is exactly 0.
    columns = [np.linalg.norm(queries - images[column], axis=1) for column in found.T]
    return np.stack(columns, axis=1), found


def _flat(images: np.ndarray, hole: np.ndarray | None) -> np.ndarray:
    seen = images if hole is None else images[:, ~hole[..., 0]]
    return seen.reshape(len(seen), -1).astype(np.float32)
