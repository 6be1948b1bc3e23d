"""The order of the batches, whose images come from memory or from the file."""

import itertools
from contextlib import closing

import h5py
import numpy as np
import pytest

from glo.data import batches as module
from glo.data.batches import batches, steps_per_epoch
from glo.data.lazy_array import Rows, Stored


def dataset(n):
    """Images of 2 x 2 whose pixels tell their row."""
    return np.arange(n, dtype=np.uint8)[:, None, None, None] + np.zeros((1, 2, 2, 1), np.uint8)


def taken(n, batch_size, seed, start, count, source=None):
    """Rows of the batches; each batch's images are checked to be those of its rows."""
    source = dataset(n) if source is None else source
    rows_of_source = np.arange(len(source))[::-1][:n]  # a view in which no row has its own number
    with closing(batches(Rows(source, rows_of_source), batch_size, seed, start)) as drawn:
        result = []
        for rows, images in itertools.islice(drawn, count):
            np.testing.assert_array_equal(images, source[rows_of_source[rows]])
            result.append(rows)
    return result


@pytest.fixture
def small_windows(monkeypatch):
    """Blocks of 3 rows and windows of 8 (2 batches of 4): datasets of a few dozen rows have several."""
    monkeypatch.setattr(module, "BLOCK_BYTES", 12)
    monkeypatch.setattr(module, "WINDOW_BYTES", 32)


def file_of(images, path):
    with h5py.File(path, "w") as file:
        file["image"] = images
    return Stored(path, "image", np.uint8, lambda pixels: pixels)


@pytest.mark.parametrize(("n", "batch_size", "steps"), [(10, 4, 3), (8, 4, 2), (3, 128, 1), (1, 1, 1), (47, 4, 12)])
@pytest.mark.parametrize("windowed", [False, True])
def test_each_epoch_visits_every_row_once(n, batch_size, steps, windowed, request):
    if windowed:
        request.getfixturevalue("small_windows")
    assert steps_per_epoch(n, batch_size) == steps
    drawn = taken(n, batch_size, 0, 0, 3 * steps)
    for epoch in range(3):
        part = drawn[epoch * steps : (epoch + 1) * steps]
        assert sorted(np.concatenate(part)) == list(range(n))
        assert [len(batch) for batch in part[:-1]] == [batch_size] * (steps - 1)
        assert len(part[-1]) == n - batch_size * (steps - 1)
    assert drawn[0].dtype == np.int64


@pytest.mark.parametrize("windowed", [False, True])
def test_batches_are_shuffled_anew_each_epoch_and_by_each_seed(windowed, request):
    if windowed:
        request.getfixturevalue("small_windows")
    drawn = taken(100, 4, 0, 0, 50)
    first, second = np.concatenate(drawn[:25]), np.concatenate(drawn[25:])
    other = np.concatenate(taken(100, 4, 1, 0, 25))
    for a, b in ((first, np.arange(100)), (first, second), (first, other), (second, other)):
        assert (a == b).sum() < 10
    neighbours = np.abs(np.diff(first)) == 1
    assert neighbours.sum() < 25  # rows that lie side by side in the file do not stay together


def test_a_window_mixes_blocks_from_everywhere(small_windows):
    windows = np.concatenate(taken(96, 4, 0, 0, 24)).reshape(12, 8)
    spreads = np.ptp(windows, axis=1)
    assert spreads.mean() > 30  # three or four random blocks of 96 rows; 8 rows in sequence would span 7


def test_a_dataset_within_one_window_is_shuffled_as_a_whole():
    whole = np.random.Generator(np.random.Philox(key=[7, 2])).permutation(50)  # of epoch 2, by itself
    np.testing.assert_array_equal(np.concatenate(taken(50, 8, 7, 14, 7)), whole)


@pytest.mark.parametrize("start", [0, 1, 2, 3, 5, 11, 12, 13, 1000])
def test_batches_from_any_step_are_those_of_an_uninterrupted_run(small_windows, start):
    for resumed, whole in zip(taken(47, 4, 5, start, 30), taken(47, 4, 5, 0, start + 30)[start:], strict=True):
        np.testing.assert_array_equal(resumed, whole)


@pytest.mark.parametrize("start", [0, 17])
def test_images_in_the_file_come_in_the_order_of_those_in_memory(small_windows, tmp_path, start):
    source = file_of(dataset(60), tmp_path / "data.hdf5")
    for streamed, held in zip(taken(47, 4, 3, start, 40, source), taken(47, 4, 3, start, 40, dataset(60)), strict=True):
        np.testing.assert_array_equal(streamed, held)


def test_only_a_window_and_the_next_are_read(small_windows, tmp_path):
    lazy = file_of(dataset(60), tmp_path / "data.hdf5")
    reads = []

    class Watched(Stored):
        def __init__(self):
            self.shape = lazy.shape

        def __getitem__(self, rows):
            reads.append(len(rows))
            return lazy[rows]

    with closing(batches(Rows(Watched(), np.arange(60)), 4, 0, 0)) as drawn:
        for _ in range(2):
            next(drawn)
    assert reads == [8, 8]
