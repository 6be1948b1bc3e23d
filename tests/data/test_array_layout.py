"""The dataset file: the toolkit writes what plain h5py reads, and reads what plain h5py writes."""

import hashlib
import zlib

import h5py
import numpy as np
import pytest

from glo.building import writer
from glo.data.block import Block
from glo.data.dataset import read_dataset
from glo.runtime import files
from glo.runtime.errors import UserError
from tests.support import attributes_of, samples, write_flat, write_ids

N = 12


def fails(path, *words):
    with pytest.raises(UserError) as caught:
        read_dataset(path)
    for word in (path.parent, *words):
        assert str(word) in str(caught.value)


def write_with(tmp_path, **replaced):
    """Write a valid file in which the given arrays are replaced; None leaves an array out. Returns its path."""
    images, codes = samples(N)
    valid = {"image": images, "code": codes, "split": np.arange(N) % 2, "label": np.arange(N)}
    arrays = {name: values for name, values in {**valid, **replaced}.items() if values is not None}
    return write_flat(tmp_path / "CATS", arrays.pop("image"), arrays.pop("code", ()), **arrays)


def write(path, blocks, **attributes):
    with writer.Writer(path) as file:
        for block in blocks:
            file.append(block)
        return file.finish(**attributes)


# --- writing ------------------------------------------------------------------------------------------------------


def test_blocks_are_written_to_one_file(tmp_path, monkeypatch):
    monkeypatch.setattr(writer, "CHUNK_BYTES", 200)  # three images of 60 bytes per chunk: blocks end inside chunks
    images, codes = samples(N)
    labels, split = np.arange(N, dtype=np.int32) - 3, (np.arange(N) % 2).astype(np.uint8)
    parts = [slice(0, 5), slice(5, 6), slice(6, N)]
    blocks = [Block(images[p], split[p], labels[p], [f"id {i}" for i in range(N)][p], codes[p]) for p in parts]
    ids = write(tmp_path / "data.hdf5", blocks, name="cats", source="here", seed=7)
    assert ids == [f"id {i}" for i in range(N)]
    with h5py.File(tmp_path / "data.hdf5") as file:
        for name, values, dtype in (
            ("image", images, np.uint8),
            ("code", codes, np.float32),
            ("label", labels, np.int32),
            ("split", split, np.uint8),
        ):
            np.testing.assert_array_equal(file[name][:], values)
            assert file[name].dtype == dtype
            crc32, rows = file[name].attrs["crc32"], file[name].attrs["crc32_rows"]
            assert rows == file[name].chunks[0]
            expected = [zlib.crc32(values[start : start + rows].tobytes()) for start in range(0, N, rows)]
            np.testing.assert_array_equal(crc32, expected)
        assert file["image"].chunks == (3, 5, 4, 3)
        attributes = attributes_of(file)
    digest = hashlib.sha256(b"5x4x3" + images.tobytes()).hexdigest()
    expected = {"schema": 1, "fingerprint": digest, "dimension": 3, "name": "cats", "source": "here", "seed": 7}
    expected["ids_crc32"] = zlib.crc32("".join(f"{name}\n" for name in ids).encode())
    assert attributes == expected


def test_ids_are_row_numbers_if_blocks_have_none(tmp_path):
    images, codes = samples(N)
    assert write(tmp_path / "a", [Block(images[:7], codes=codes[:7]), Block(images[7:], codes=codes[7:])]) == [
        str(i) for i in range(N)
    ]


# --- reading ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ">f4"])
@pytest.mark.parametrize(("scale", "offset"), [(255, 0), (127.5, 1)])
def test_floating_point_images(tmp_path, dtype, scale, offset, monkeypatch):
    monkeypatch.setattr("glo.data.safe_hdf5.READ_BYTES", 1000)  # several parts; only some of them hold values below 0
    images, codes = samples(N)
    images[0] = 0
    images[1:] = np.maximum(images[1:], 130)
    path = write_flat(tmp_path / "CATS", (images / scale - offset).astype(dtype), codes)
    np.testing.assert_array_equal(read_dataset(path)[0].images, images)


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (np.full((N, 4, 4, 1), 1.5), "0, 1"),
        (np.full((N, 4, 4, 1), -1.5), "-1, 1"),
        (np.full((N, 4, 4, 1), 200.0), "from 200 to 200"),
        (np.where(np.arange(N) == 7, np.nan, 0.5).reshape(N, 1, 1, 1), "NaN"),
        (np.where(np.arange(N) == 7, np.inf, 0.5).reshape(N, 1, 1, 1), "infinite"),
        (np.zeros((N, 4, 4, 1), np.int64), "int64"),
        (np.zeros((N, 4, 4, 1), np.uint16), "uint16"),
        (np.zeros((N, 4, 4, 1), np.int8), "int8"),
        (np.zeros((N, 4, 4), np.uint8), "[12, 4, 4]"),
        (np.zeros((N, 4, 4, 2), np.uint8), "[12, 4, 4, 2]"),
        (np.zeros((N, 0, 4, 1), np.uint8), "[12, 0, 4, 1]"),
        (np.zeros(N, np.uint8), "[12]"),
        (np.uint8(3), "[]"),
        (np.zeros((0, 4, 4, 1), np.uint8), "no images"),
        (np.zeros((N - 1, 4, 4, 1), np.uint8), "12 rows"),
    ],
)
def test_invalid_images(tmp_path, images, words):
    fails(write_with(tmp_path, image=images), words)


@pytest.mark.parametrize(
    ("codes", "words"),
    [
        (np.zeros((N - 1, 3), np.float32), "'code' has 11 rows and 'image' 12"),
        (np.zeros((N, 0), np.float32), "'code' must be [N, d], not [12, 0]"),
        (np.zeros(N, np.float32), "'code' must be [N, d], not [12]"),
        (np.zeros((N, 3, 1), np.float32), "'code' must be [N, d]"),
        (np.float32(3), "'code' must be [N, d]"),
        (np.where(np.arange(36) == 20, np.nan, 0).reshape(N, 3), "code of row 6 is not finite"),
        (np.where(np.arange(36) == 0, -np.inf, 0).reshape(N, 3), "code of row 0 is not finite"),
    ],
)
def test_invalid_codes(tmp_path, codes, words):
    fails(write_with(tmp_path, code=codes), words)


def test_no_codes(tmp_path):
    path = write_with(tmp_path)
    with h5py.File(path, "a") as file:
        del file["code"]
    fails(path, "no 'code'", "download.py")


@pytest.mark.parametrize("name", ["split", "label"])
@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.zeros(N + 1, np.int32), "has 13 rows and 'image' 12"),
        (np.zeros((N, 1), np.int32), "must be [N], not [12, 1]"),
        (np.int32(0), "must be [N], not []"),
        (np.full(N, 0.5), "must hold integers"),
        (np.full(N, np.nan), "must hold integers"),
        (np.full(N, 1 << 40), "must hold integers"),
    ],
)
def test_invalid_splits_and_labels(tmp_path, name, values, words):
    fails(write_with(tmp_path, **{name: values}), f"'{name}'", words)


@pytest.mark.parametrize("value", [3, 255, -1])
def test_a_split_is_0_1_or_2(tmp_path, value):
    fails(write_with(tmp_path, split=np.where(np.arange(N) == 5, value, 0)), "'split' must hold integers from 0 to 2")


def test_attributes_are_0_or_1(tmp_path):
    values = np.arange(2 * N).reshape(N, 2) % 2
    block, _ = read_dataset(write_with(tmp_path, attribute=values))
    np.testing.assert_array_equal(block.attributes, values)
    fails(write_with(tmp_path, attribute=values * 2 - 1), "'attribute' must hold integers from 0 to 1")
    fails(write_with(tmp_path, attribute=values[:, 0]), "'attribute' must be [N, A]")
    fails(write_with(tmp_path, attribute=values[1:]), f"'attribute' has {N - 1} rows")


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, ">i4"])
def test_splits_and_labels_of_any_integer_dtype(tmp_path, dtype):
    block, _ = read_dataset(write_with(tmp_path, label=np.arange(N, dtype=dtype), split=np.arange(N, dtype=dtype) % 2))
    np.testing.assert_array_equal(block.labels, np.arange(N))
    np.testing.assert_array_equal(block.split, np.arange(N) % 2)
    assert (block.labels.dtype, block.split.dtype) == (np.int32, np.uint8)


@pytest.mark.parametrize(("schema", "known"), [(1, True), (2, False), ("new", False), ([1, 1], False), (0, False)])
def test_schema(tmp_path, schema, known):
    path = write_flat(tmp_path / "CATS", *samples(N), attributes={"schema": schema})
    if known:
        read_dataset(path)
    else:
        fails(path, f"has schema {np.asarray(schema)}, this version reads 1")


@pytest.mark.parametrize("fingerprint", ["0" * 64, "", b"bytes", 7, [1, 2]])
def test_a_fingerprint_that_does_not_match(tmp_path, fingerprint):
    fails(write_flat(tmp_path / "CATS", *samples(N), attributes={"fingerprint": fingerprint}), "is damaged", "--force")


@pytest.mark.parametrize("ids", [["a"] * N, [f"{i}" for i in range(N - 1)], [f"{i}" for i in range(N + 1)], []])
def test_ids_that_do_not_match_the_rows(tmp_path, ids):
    path = write_flat(tmp_path / "CATS", *samples(N), ids=ids)
    fails(path, "id.txt", "12 times" if "a" in ids else f"{len(ids)} ids")


def test_id_files_as_other_editors_write_them(tmp_path):
    path = write_flat(tmp_path / "CATS", *samples(N))
    names = ["mit Abstand ", "日本", "a\u2028b", *map(str, range(N - 3))]
    (path.parent / "id.txt").write_bytes("\ufeff".encode() + "\r\n".join(names).encode() + b"\r\n\r\n")
    assert read_dataset(path)[0].ids == names
    (path.parent / "id.txt").write_bytes(b"\xff\xfe\n" * N)
    fails(path, "cannot read", "id.txt")
    (path.parent / "id.txt").unlink()
    (path.parent / "id.txt").mkdir()
    fails(path, "cannot read", "id.txt")


# --- damage -------------------------------------------------------------------------------------------------------


@pytest.fixture
def valid_file(tmp_path, monkeypatch):
    """The path of a small file with all arrays, as the toolkit writes it, and its bytes."""
    monkeypatch.setattr(writer, "CHUNK_BYTES", 200)  # otherwise most of the file is unused space of large chunks
    images, codes = samples(N)
    columns = (np.arange(N) % 2).astype(np.uint8), np.arange(N, dtype=np.int32)
    path = tmp_path / "CATS" / "data.hdf5"
    path.parent.mkdir()
    with files.replacing(path) as temporary:
        ids = write(temporary, [Block(images, *columns, codes=codes)], name="CATS", distribution="PCA")
    write_ids(path.parent, ids)
    return path, path.read_bytes()


def with_flipped_bits(content, count, seed=0):
    """Yield `count` copies of the content, each with one random bit flipped."""
    random = np.random.default_rng(seed)
    for place, bit in zip(random.integers(len(content), size=count), random.integers(8, size=count), strict=True):
        yield content[:place] + bytes([content[place] ^ 1 << bit]) + content[place + 1 :]


def test_no_flipped_bit_changes_what_is_read(valid_file):
    path, content = valid_file
    original, fingerprint = read_dataset(path)
    refused = 0
    for damaged in with_flipped_bits(content, 700):
        path.write_bytes(damaged)
        try:
            block, digest = read_dataset(path)
        except UserError:
            refused += 1
            continue
        assert digest == fingerprint
        for name in ("images", "codes", "labels", "split"):
            np.testing.assert_array_equal(getattr(block, name), getattr(original, name), err_msg=name)
    assert refused > 300


def test_every_truncation_is_refused(valid_file):
    path, content = valid_file
    for length in [*range(0, len(content), 397), len(content) - 1]:
        path.write_bytes(content[:length])
        fails(path, "not a valid HDF5 file", "build it again")


@pytest.mark.parametrize("content", [b"", b"text", b"\x89HDF\r\n\x1a\n", b"\x89HDF\r\n\x1a\n" + bytes(5000)])
def test_files_that_are_not_hdf5(tmp_path, content):
    (tmp_path / "data.hdf5").write_bytes(content)
    fails(tmp_path / "data.hdf5", "not a valid HDF5 file")


def test_a_folder_in_place_of_the_file(tmp_path):
    (tmp_path / "data.hdf5").mkdir()
    fails(tmp_path / "data.hdf5", "is a folder")


def test_no_file(tmp_path):
    fails(tmp_path / "data.hdf5", "no file")
