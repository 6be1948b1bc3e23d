"""Arrays that stay in the file: every index gives the same values as the array in memory."""

import os

import h5py
import numpy as np
import pytest

from glo.building import writer
from glo.data import lazy_array
from glo.data.batches import batches
from glo.data.block import Block
from glo.data.lazy_array import LazyArray, Rows
from glo.runtime.errors import UserError
from tests.support import overwrite, samples, write_flat

N = 57


@pytest.fixture(params=[None, (4, 3, 2, 1), (57, 3, 2, 1)], ids=["contiguous", "small chunks", "one chunk"])
def array(request, tmp_path, monkeypatch):
    monkeypatch.setattr(lazy_array, "PIECE_BYTES", 6 * 5)  # five rows: pieces end inside chunks
    values = np.random.default_rng(0).integers(0, 256, (N, 3, 2, 1), np.uint8)
    with h5py.File(tmp_path / "data.hdf5", "w") as file:
        file.create_dataset("image", data=values, chunks=request.param)
    return values, LazyArray(tmp_path / "data.hdf5", "image", np.uint8, lambda pixels: pixels)


@pytest.mark.parametrize("index", [slice(None), slice(3, 40), slice(50, 90), slice(9, 9), slice(40, 3, -2)])
def test_slices(array, index):
    values, lazy = array
    assert (lazy.shape, len(lazy), lazy.dtype) == (values.shape, N, np.uint8)
    np.testing.assert_array_equal(lazy[index], values[index])


@pytest.mark.parametrize(
    "rows", [[], [56], [0, 1, 2], [5, 4, 50, 5, 5, 0], range(0, N, 7), [3, 4, 8, 9, 30, 31, 32, 33, 56]]
)
def test_row_numbers_in_any_order_and_more_than_once(array, rows):
    values, lazy = array
    rows = np.array(rows, np.int64)
    np.testing.assert_array_equal(lazy[rows], values[rows])
    view_rows = np.arange(N)[::3][::-1]
    for source in (values, lazy):
        view = Rows(source, view_rows)
        assert view.shape == (19, 3, 2, 1)
        chosen = np.array([4, 0, 18])
        np.testing.assert_array_equal(view[chosen], values[view_rows][chosen])
        np.testing.assert_array_equal(view.load(chosen)[np.array([2, 1])], values[view_rows][chosen][[2, 1]])


def test_values_are_converted(tmp_path):
    with h5py.File(tmp_path / "data.hdf5", "w") as file:
        file["code"] = np.arange(12.0).reshape(4, 3)
    codes = LazyArray(tmp_path / "data.hdf5", "code", np.float32, lambda values: values.astype(np.float32))
    assert codes[np.array([2, 0])].dtype == np.float32
    np.testing.assert_array_equal(codes[np.array([2, 0])], [[6, 7, 8], [0, 1, 2]])


@pytest.fixture
def built(tmp_path, monkeypatch):
    """The images of a file that the toolkit wrote in chunks of four images, and the file's path."""
    monkeypatch.setattr(writer, "CHUNK_BYTES", 4 * 64)
    images, codes = samples(N, (8, 8, 1))
    with writer.Writer(tmp_path / "data.hdf5") as file:
        file.append(Block(images, codes=codes))
        file.finish()
    return images, tmp_path / "data.hdf5"


def stream(path):
    return LazyArray(path, "image", np.uint8, lambda pixels: pixels)


@pytest.mark.parametrize("piece_rows", [1, 6, 1000])
def test_rows_with_checksums_are_read_like_any_others(built, monkeypatch, piece_rows):
    images, path = built
    monkeypatch.setattr(lazy_array, "PIECE_BYTES", piece_rows * 64)
    for index in (slice(None), slice(3, 40), slice(9, 9), slice(40, 3, -2), np.array([5, 4, 50, 5, 56, 0])):
        np.testing.assert_array_equal(stream(path)[index], images[index])


@pytest.mark.parametrize("zeros", [False, True], ids=["flipped bit", "zeros"])
def test_a_damaged_block_is_noticed_when_any_of_its_rows_is_read(built, zeros):
    images, path = built
    overwrite(path, "image", 30, zeros=zeros)
    lazy = stream(path)
    np.testing.assert_array_equal(lazy[slice(0, 28)], images[:28])
    for row in range(28, 32):
        with pytest.raises(UserError, match=r"data\.hdf5 is damaged: 'image' of rows 28 to 31 does not match"):
            lazy[np.array([row, 50])]
    np.testing.assert_array_equal(lazy[np.array([32, 27])], images[[32, 27]])


@pytest.mark.parametrize("with_checksums", [True, False])
@pytest.mark.parametrize("change", ["truncated", "overwritten"])
def test_a_file_that_changes_while_it_is_streamed(built, tmp_path, with_checksums, change):
    """HDF5 itself reads zeros beyond the end of a truncated file."""
    images, path = built
    if not with_checksums:
        path = write_flat(tmp_path / "user", images, np.zeros((N, 2)))
    lazy = stream(path)
    place = path.read_bytes().index(images[40].tobytes())
    if change == "truncated":
        os.truncate(path, place)
    else:
        with path.open("r+b") as file:
            file.seek(place)
            file.write(bytes(64))
    with pytest.raises(UserError, match=r"does not match its checksum" if with_checksums else "has changed since"):
        lazy[np.array([40])]
    with pytest.raises(UserError):
        next(batches(Rows(lazy, np.arange(N)), 8, seed=0, start=0))


def test_damage_that_is_detected_while_reading_is_a_user_error(tmp_path):
    path = tmp_path / "data.hdf5"
    values = np.random.default_rng(0).integers(0, 256, (N, 8, 8, 1), np.uint8)
    with h5py.File(path, "w") as file:
        file.create_dataset("image", data=values, chunks=(4, 8, 8, 1), fletcher32=True)
    content = path.read_bytes()
    place = content.index(values[30].tobytes())
    path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    lazy = LazyArray(path, "image", np.uint8, lambda pixels: pixels)
    np.testing.assert_array_equal(lazy[slice(0, 28)], values[:28])
    with pytest.raises(UserError, match=r"data\.hdf5 is not a valid HDF5 file"):
        lazy[np.array([30])]
