"""How rows are split among workers: a pure function of (seed, N, W), on which sharded checkpoints depend.

Never change it: the shards of existing checkpoints are those of this function.
"""

import numpy as np

from glo.data.randomness import Stream, permutation

BLOCKS = 256  # blocks of adjacent rows for each worker, which are read at once: many, so that shards are alike


def length(n: int, index: int, count: int) -> int:
    """The number of rows of range(n) that worker `index` of `count` owns: the first n % count workers have one more."""
    return n // count + (index < n % count)


def rows(seed: int, n: int, index: int, count: int) -> np.ndarray:
    """The rows of range(n) that worker `index` of `count` owns, int64 ascending. Every row belongs to one worker."""
    if count == 1:
        return np.arange(n)
    block_rows = max(1, n // (BLOCKS * count))
    blocks = permutation(-(-n // block_rows), seed, Stream.SHARDS)
    order = (blocks[:, None] * block_rows + np.arange(block_rows)).ravel()
    order = order[order < n]
    start = sum(length(n, i, count) for i in range(index))
    return np.sort(order[start : start + length(n, index, count)])


def table_rows(seed: int, n: int, copies: int, index: int, count: int) -> np.ndarray:
    """The rows of the whole code table that a worker owns, int64 ascending: its images, then its altered copies.

    n: number of training images. copies: number of altered copies of each.
    """
    return (rows(seed, n, index, count) + n * np.arange(1 + copies)[:, None]).ravel()
