"""Which rows a worker owns, and which images of a batch it draws."""

import numpy as np
import pytest

from glo.data.batches import Share, batches, steps_per_epoch
from glo.data.lazy_array import Rows
from glo.workers import shards


@pytest.mark.parametrize(("n", "workers"), [(1, 1), (7, 3), (33, 4), (1000, 2), (100_000, 7)])
def test_every_row_belongs_to_one_worker_and_shards_are_balanced(n, workers):
    parts = [shards.rows(5, n, index, workers) for index in range(workers)]
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(n))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    for index, part in enumerate(parts):
        assert (np.diff(part) > 0).all()
        assert len(part) == shards.length(n, index, workers)
        np.testing.assert_array_equal(part, shards.rows(5, n, index, workers))


def test_shards_never_change():
    """Sharded checkpoints state only the seed and the number of workers."""
    np.testing.assert_array_equal(shards.rows(3, 12, 1, 3), [3, 6, 9, 11])


def test_shards_consist_of_adjacent_rows_from_the_whole_file():
    """So that they are read fast, and so that the order of a file, such as one by labels, does not matter."""
    n, workers = 100_000, 4
    for index in range(workers):
        rows = shards.rows(0, n, index, workers)
        assert np.mean(np.diff(rows) == 1) > 0.98
        assert np.histogram(rows, 10, (0, n))[0].min() > 0.6 * len(rows) / 10


def test_a_worker_owns_the_copies_of_its_images():
    rows = shards.rows(1, 10, 1, 3)
    np.testing.assert_array_equal(shards.table_rows(1, 10, 2, 1, 3), np.concatenate([rows, rows + 10, rows + 20]))


@pytest.mark.parametrize(
    ("n", "copies", "workers", "batch_size"),
    [(33, 0, 4, 8), (10, 0, 3, 5), (7, 27, 3, 16), (5, 2, 4, 3), (64, 1, 2, 128)],
)
def test_batches_of_all_workers_are_those_of_one(n, copies, workers, batch_size):
    total = n * (1 + copies)
    steps = steps_per_epoch(total, batch_size)
    sizes = [len(shards.rows(0, n, index, workers)) * (1 + copies) for index in range(workers)]
    bounds = np.array(
        [
            [Share(total, 1 + copies, index, workers).bound(step, batch_size) for step in range(steps + 1)]
            for index in range(workers)
        ]
    )
    np.testing.assert_array_equal(bounds.sum(axis=0), np.minimum(np.arange(steps + 1) * batch_size, total))
    np.testing.assert_array_equal(bounds[:, -1], sizes)
    parts = np.diff(bounds)
    assert parts.min() >= 0
    full = parts[:, : min(sizes) * workers // batch_size]  # later, the smallest workers have no images left
    assert full.size == 0 or np.ptp(full, axis=0).max() <= 1


def test_a_share_yields_each_of_its_rows_once_an_epoch_and_can_start_anywhere():
    n, workers, batch_size = 33, 4, 8
    for index in range(workers):
        images = np.arange(shards.length(n, index, workers), dtype=np.uint8)[:, None, None, None]
        rows = Rows(images, np.arange(len(images)))
        endless = batches(rows, batch_size, 3, 0, Share(n, 1, index, workers))
        drawn = [next(endless)[0] for _ in range(2 * 5)]
        for epoch in (drawn[:5], drawn[5:]):
            np.testing.assert_array_equal(np.sort(np.concatenate(epoch)), np.arange(len(images)))
        resumed = batches(rows, batch_size, 3, 7, Share(n, 1, index, workers))
        for expected in drawn[7:]:
            np.testing.assert_array_equal(next(resumed)[0], expected)
        endless.close()
        resumed.close()
