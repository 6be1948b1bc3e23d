"""The batches of training, in an order that is a pure function of (seed, epoch, step), and their images.

The rows are cut into blocks that are read in one piece. Each epoch takes the blocks in a new order, cuts that sequence
into windows, and shuffles each window's rows. Only one window and the next must be in memory, so that a dataset of any
size trains from its file; one that is smaller than a window is shuffled as a whole. Where the images lie does not
change the order: a run goes on, bit for bit, on a machine with more or less memory.
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
_BLOCKS = 2**63 - 1  # the part of an epoch's stream that orders the blocks; the others are its windows


def steps_per_epoch(n: int, batch_size: int) -> int:
    """Batches that visit every one of n samples once; the last may be partial."""
    return -(-n // batch_size)


def batches(images: Rows, batch_size: int, seed: int, start: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Endless batches from step `start` on (0 is the first): rows int64 [B] and their images uint8 [B, H, W, C].

    Each epoch visits every row once; its last batch may be partial. Images in a file are read in a thread, a window
    ahead. Close the iterator to end the thread.
    """
    per_epoch = steps_per_epoch(len(images), batch_size)
    row_bytes = math.prod(images.shape[1:])
    per_window = max(1, WINDOW_BYTES // (row_bytes * batch_size))  # whole batches, so that none needs two windows
    first_window, first_batch = divmod(start % per_epoch, per_window)
    block, size = max(1, BLOCK_BYTES // row_bytes), per_window * batch_size
    windows = _windows(len(images), block, size, seed, start // per_epoch, first_window)

    def read() -> tuple[np.ndarray, np.ndarray, Rows | np.ndarray]:
        rows, order = next(windows)
        return rows, order, images.held(rows)

    with ThreadPoolExecutor(1, "read ahead") as reader:
        ahead = reader.submit(read)
        while True:
            rows, order, held = ahead.result()
            ahead = reader.submit(read)
            for batch in range(first_batch * batch_size, len(rows), batch_size):
                taken = order[batch : batch + batch_size]
                yield rows[taken], held[taken]
            first_batch = 0


def _windows(
    n: int, block: int, size: int, seed: int, epoch: int, first: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Endless windows of `size` rows: the rows, ascending as they are read best, and the order to take them in.

    block: rows of a block. first: the window of `epoch` to start with.
    """
    for now in count(epoch):
        blocks = permutation(-(-n // block), seed, Stream.BATCHES + now, _BLOCKS)
        rows = (blocks[:, None] * block + np.arange(block)).ravel()
        rows = rows[rows < n]
        for window in range(first, -(-n // size)):
            within = np.sort(rows[window * size : (window + 1) * size])
            yield within, permutation(len(within), seed, Stream.BATCHES + now, window)
        first = 0
