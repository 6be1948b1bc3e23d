"""Training batches in an order that is a pure function of (seed, epoch, step).

The rows are divided into blocks of adjacent rows, which can be read at once. Each epoch permutes the blocks, divides
the sequence of their rows into windows, and shuffles the rows of each window. Only the current and the next window must
be in memory, so that a dataset of any size can be trained on from its file. A dataset smaller than a window is shuffled
as a whole. The order does not depend on whether the images are in memory, so that a run can be resumed with identical
results on a machine with more or less memory.
"""

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import numpy as np

from glo.data.lazy_array import Rows
from glo.data.randomness import Stream, permutation

BLOCK_BYTES = 1 << 18
WINDOW_BYTES = 1 << 24
_BLOCK_ORDER = 2**63 - 1  # the part of an epoch's random stream that permutes blocks; parts 0, 1, ... shuffle windows


def steps_per_epoch(n: int, batch_size: int) -> int:
    """The number of batches in which each of n samples appears once; the last batch may be partial."""
    return -(-n // batch_size)


def batches(images: Rows, batch_size: int, seed: int, start: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield batches without end, from step `start` on: rows int64 [B] and their images uint8 [B, H, W, C].

    start: the first batch of a run is step 0. Each epoch visits every row once, and its last batch may be partial.
    Images in a file are read by a thread, one window ahead. Close the iterator to end the thread.
    """
    per_epoch = steps_per_epoch(len(images), batch_size)
    row_bytes = math.prod(images.shape[1:])
    per_window = max(
        1, WINDOW_BYTES // (row_bytes * batch_size)
    )  # a window holds whole batches, so that no batch needs two windows
    first_window, first_batch = divmod(start % per_epoch, per_window)
    block_rows, window_rows = max(1, BLOCK_BYTES // row_bytes), per_window * batch_size
    windows = _windows(len(images), block_rows, window_rows, seed, start // per_epoch, first_window)

    def read() -> tuple[np.ndarray, np.ndarray, Rows | np.ndarray]:
        rows, order = next(windows)
        return rows, order, images.load(rows)

    with ThreadPoolExecutor(1, "read ahead") as reader:
        next_window = reader.submit(read)
        while True:
            rows, order, window_images = next_window.result()
            next_window = reader.submit(read)
            for batch_start in range(first_batch * batch_size, len(rows), batch_size):
                batch = order[batch_start : batch_start + batch_size]
                yield rows[batch], window_images[batch]
            first_batch = 0


def _windows(
    n: int, block_rows: int, window_rows: int, seed: int, first_epoch: int, first_window: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield windows without end: their rows int64 [w], and the order in which to use them, a permutation int64 [w].

    Rows are ascending, because a file is read fastest in that order. first_window: the window of `first_epoch` to start
    with.
    """
    for epoch in count(first_epoch):
        blocks = permutation(-(-n // block_rows), seed, Stream.BATCHES + epoch, _BLOCK_ORDER)
        rows = (blocks[:, None] * block_rows + np.arange(block_rows)).ravel()
        rows = rows[rows < n]
        for window in range(first_window, -(-n // window_rows)):
            ascending = np.sort(rows[window * window_rows : (window + 1) * window_rows])
            yield ascending, permutation(len(ascending), seed, Stream.BATCHES + epoch, window)
        first_window = 0
