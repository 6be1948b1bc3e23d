"""The order of training batches, and their images, which are in memory or in the dataset file."""

import itertools
from contextlib import closing

import h5py
import numpy as np
import pytest

from glo.data import batches as module
from glo.data.batches import batches, steps_per_epoch
from glo.data.lazy_array import LazyArray, Rows


def numbered_images(n):
    """Images uint8 [n, 2, 2, 1] whose pixels equal their row number."""
    return np.arange(n, dtype=np.uint8)[:, None, None, None] + np.zeros((1, 2, 2, 1), np.uint8)


def batch_rows(n, batch_size, seed, start, count, source=None):
    """The rows of `count` batches. Checks that the images of each batch are those of its rows."""
    source = numbered_images(n) if source is None else source
    rows_of_source = np.arange(len(source))[::-1][:n]  # no row of the view has the same number in the source
    with closing(batches(Rows(source, rows_of_source), batch_size, seed, start)) as endless:
        result = []
        for rows, images in itertools.islice(endless, count):
            np.testing.assert_array_equal(images, source[rows_of_source[rows]])
            result.append(rows)
    return result


@pytest.fixture
def small_windows(monkeypatch):
    """Blocks of 3 rows and windows of 8 rows (2 batches of 4), so that a small dataset has several windows."""
    monkeypatch.setattr(module, "BLOCK_BYTES", 12)
    monkeypatch.setattr(module, "WINDOW_BYTES", 32)


def lazy_images(images, path):
    with h5py.File(path, "w") as file:
        file["image"] = images
    return LazyArray(path, "image", np.uint8, lambda pixels: pixels)


@pytest.mark.parametrize(("n", "batch_size", "steps"), [(10, 4, 3), (8, 4, 2), (3, 128, 1), (1, 1, 1), (47, 4, 12)])
@pytest.mark.parametrize("windowed", [False, True])
def test_each_epoch_visits_every_row_once(n, batch_size, steps, windowed, request):
    if windowed:
        request.getfixturevalue("small_windows")
    assert steps_per_epoch(n, batch_size) == steps
    drawn = batch_rows(n, batch_size, 0, 0, 3 * steps)
    for epoch in range(3):
        part = drawn[epoch * steps : (epoch + 1) * steps]
        assert sorted(np.concatenate(part)) == list(range(n))
        assert [len(batch) for batch in part[:-1]] == [batch_size] * (steps - 1)
        assert len(part[-1]) == n - batch_size * (steps - 1)
    assert drawn[0].dtype == np.int64


@pytest.mark.parametrize("windowed", [False, True])
def test_each_epoch_and_each_seed_has_another_order(windowed, request):
    if windowed:
        request.getfixturevalue("small_windows")
    drawn = batch_rows(100, 4, 0, 0, 50)
    first, second = np.concatenate(drawn[:25]), np.concatenate(drawn[25:])
    other = np.concatenate(batch_rows(100, 4, 1, 0, 25))
    for a, b in ((first, np.arange(100)), (first, second), (first, other), (second, other)):
        assert (a == b).sum() < 10
    neighbors = np.abs(np.diff(first)) == 1
    assert neighbors.sum() < 25  # rows that are adjacent in the file are separated


def test_a_window_mixes_blocks_from_the_whole_file(small_windows):
    windows = np.concatenate(batch_rows(96, 4, 0, 0, 24)).reshape(12, 8)
    spreads = np.ptp(windows, axis=1)
    assert spreads.mean() > 30  # three or four random blocks of the 96 rows; 8 consecutive rows would span 7


def test_a_dataset_within_one_window_is_shuffled_as_a_whole():
    permutation = np.random.Generator(np.random.Philox(key=[7, 2])).permutation(50)  # of seed 7 and epoch 2
    np.testing.assert_array_equal(np.concatenate(batch_rows(50, 8, 7, 14, 7)), permutation)


@pytest.mark.parametrize("start", [0, 1, 2, 3, 5, 11, 12, 13, 1000])
def test_batches_from_any_step_are_those_of_an_uninterrupted_run(small_windows, start):
    uninterrupted = batch_rows(47, 4, 5, 0, start + 30)
    for rows, expected in zip(batch_rows(47, 4, 5, start, 30), uninterrupted[start:], strict=True):
        np.testing.assert_array_equal(rows, expected)


@pytest.mark.parametrize("start", [0, 17])
def test_images_in_the_file_and_in_memory_have_the_same_order(small_windows, tmp_path, start):
    images = numbered_images(60)
    lazy = lazy_images(images, tmp_path / "data.hdf5")
    from_file, from_memory = (batch_rows(47, 4, 3, start, 40, source) for source in (lazy, images))
    for rows, expected in zip(from_file, from_memory, strict=True):
        np.testing.assert_array_equal(rows, expected)


def test_only_the_current_and_the_next_window_are_read(small_windows, tmp_path):
    lazy = lazy_images(numbered_images(60), tmp_path / "data.hdf5")
    reads = []

    class Recording(LazyArray):
        def __init__(self):
            self.shape = lazy.shape

        def __getitem__(self, rows):
            reads.append(len(rows))
            return lazy[rows]

    with closing(batches(Rows(Recording(), np.arange(60)), 4, 0, 0)) as endless:
        for _ in range(2):
            next(endless)
    assert reads == [8, 8]
