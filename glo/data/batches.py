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
from dataclasses import dataclass
from itertools import count, pairwise

import numpy as np

from glo.data.lazy_array import Rows
from glo.data.randomness import Stream, permutation

BLOCK_BYTES = 1 << 18
WINDOW_BYTES = 1 << 24
_BLOCK_ORDER = 2**63 - 1  # the part of an epoch's random stream that permutes blocks; parts 0, 1, ... shuffle windows
_WORKER_PARTS = 2**32  # the distance of these parts from one worker to the next


@dataclass(frozen=True)
class Share:
    """The images of each batch that one of several workers draws from its own rows.

    The batches of all workers together are those of one worker: `batch_size` images, and fewer at the end of an epoch.

    n: number of images of all workers. group: each worker has a multiple of this number, and they differ by at most one
    group; the first workers have more. index: of this worker, of `workers`.
    """

    n: int
    group: int = 1
    index: int = 0
    workers: int = 1

    def bound(self, step: int, batch_size: int) -> int:
        """How many images of an epoch this worker draws in the first `step` steps of the epoch.

        Images are dealt to all workers in turn. What is left when the smallest worker has none goes to the others.
        """
        dealt, larger = min(step * batch_size, self.n), self.n // self.group % self.workers
        in_turn = self.n - larger * self.group
        bound = _dealt(min(dealt, in_turn), self.index, self.workers)
        return bound + _dealt(max(dealt - in_turn, 0), self.index, larger) if self.index < larger else bound


def _dealt(cards: int, player: int, players: int) -> int:
    return -(-max(cards - player, 0) // players)


def steps_per_epoch(n: int, batch_size: int) -> int:
    """The number of batches in which each of n samples appears once; the last batch may be partial."""
    return -(-n // batch_size)


def batches(
    images: Rows, batch_size: int, seed: int, start: int, share: Share | None = None
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield batches without end, from step `start` on: rows int64 [B] and their images uint8 [B, H, W, C].

    start: the first batch of a run is step 0. Each epoch visits every row once, and its last batch may be partial.
    share: of a worker among several, whose batches are parts of a whole and may be empty.
    Images in a file are read by a thread, one window ahead. Close the iterator to end the thread.
    """
    share = share or Share(len(images))
    per_epoch = steps_per_epoch(share.n, batch_size)
    row_bytes = math.prod(images.shape[1:])
    per_window = max(
        1, WINDOW_BYTES // (row_bytes * batch_size)
    )  # a window holds whole batches, so that no batch needs two windows
    first_window, first_batch = divmod(start % per_epoch, per_window)
    bounds = [share.bound(step, batch_size) for step in range(per_epoch)] + [len(images)]
    windows = _windows(
        bounds, per_window, max(1, BLOCK_BYTES // row_bytes), seed, start // per_epoch, first_window, share.index
    )

    def read() -> tuple[np.ndarray, list[np.ndarray], Rows | np.ndarray]:
        rows, window_batches = next(windows)
        return rows, window_batches, images.load(rows)

    with ThreadPoolExecutor(1, "read ahead") as reader:
        next_window = reader.submit(read)
        while True:
            rows, window_batches, window_images = next_window.result()
            next_window = reader.submit(read)
            for batch in window_batches[first_batch:]:
                yield rows[batch], window_images[batch]
            first_batch = 0


def _windows(
    bounds: list[int], per_window: int, block_rows: int, seed: int, first_epoch: int, first_window: int, worker: int
) -> Iterator[tuple[np.ndarray, list[np.ndarray]]]:
    """Yield windows without end: their rows int64 [w], and their batches, int64 [B], which are positions in the window.

    Rows are ascending, because a file is read fastest in that order. bounds: the end of each batch in the order of an
    epoch, after a 0. per_window: batches in a window. first_window: the window of `first_epoch` to start with.
    """
    n, steps = bounds[-1], len(bounds) - 1
    for epoch in count(first_epoch):
        blocks = permutation(-(-n // block_rows), seed, Stream.BATCHES + epoch, _BLOCK_ORDER - worker)
        rows = (blocks[:, None] * block_rows + np.arange(block_rows)).ravel()
        rows = rows[rows < n]
        for window in range(first_window, -(-steps // per_window)):
            ends = np.array(bounds[window * per_window : (window + 1) * per_window + 1])
            ascending = np.sort(rows[ends[0] : ends[-1]])
            order = permutation(len(ascending), seed, Stream.BATCHES + epoch, worker * _WORKER_PARTS + window)
            yield ascending, [order[start:end] for start, end in pairwise(ends - ends[0])]
        first_window = 0
