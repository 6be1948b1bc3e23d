"""Nearest training images, in pixels."""

import numpy as np

BLOCK_BYTES = 1 << 28


def nearest(queries: np.ndarray, images: np.ndarray, k: int = 1) -> np.ndarray:
    """For each query uint8 [n, H, W, C] the indices of the k nearest of images uint8 [N, H, W, C], nearest first.

    Returns int64 [n, min(k, N)]. Euclidean distance. Memory is bounded: images are taken in blocks.
    """
    from sklearn.neighbors import NearestNeighbors

    flat = queries.reshape(len(queries), -1).astype(np.float32)
    step = max(1, BLOCK_BYTES // (4 * flat.shape[1]))
    distances, indices = np.empty((len(queries), 0)), np.empty((len(queries), 0), np.int64)
    for start in range(0, len(images), step):
        block = images[start : start + step].reshape(-1, flat.shape[1]).astype(np.float32)
        search = NearestNeighbors(n_neighbors=min(k, len(block)), algorithm="brute").fit(block)
        found_distances, found = search.kneighbors(flat)
        distances = np.concatenate([distances, found_distances], axis=1)
        indices = np.concatenate([indices, found + start], axis=1)
        order = np.argsort(distances, axis=1, kind="stable")[:, :k]
        distances, indices = np.take_along_axis(distances, order, 1), np.take_along_axis(indices, order, 1)
    return indices
