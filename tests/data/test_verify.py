"""download.py --verify: valid files pass, and each kind of damage is reported with its rows."""

import h5py
import numpy as np
import pytest

from glo.building import writer
from glo.building.build import build
from glo.data.block import Block
from glo.data.row_numbers import spans
from glo.settings import BuildSettings
from tests.support import (
    assert_ok,
    assert_one_line_error,
    call,
    overwrite,
    samples,
    update_checksums,
    write_flat,
    write_grouped,
)

N = 30
NAMES = ["cat", "dog", "cow"]


@pytest.fixture
def path(tmp_path, monkeypatch):
    """The path of a dataset file built by the toolkit, with chunks of three images and 100 attributes."""
    monkeypatch.setattr(writer, "CHUNK_BYTES", 200)
    images, _ = samples(N)
    block = Block(
        images,
        split=(np.arange(N) % 5 == 0).astype(np.uint8),
        labels=np.arange(N, dtype=np.int32) % 3,
        ids=[f"id {i}" for i in range(N)],
        attributes=np.stack([np.arange(N) % 2] * 100, axis=1).astype(np.int8),
    )
    settings = BuildSettings(distribution="Gaussian", dimension=20)
    build(tmp_path / "CATS", "CATS", "here", lambda _: [block], settings, NAMES)
    with h5py.File(tmp_path / "CATS" / "data.hdf5", "a") as file:
        file.attrs["attribute_names"] = [f"attribute {i}" for i in range(100)]
    return tmp_path / "CATS" / "data.hdf5"


def verify(path):
    return call("download.py", "--verify", path.parent.name, "--data_dir", path.parent.parent)


def fails(path, *fragments):
    return assert_one_line_error(verify(path), path.parent, *fragments)


def change(path, name, rows, values):
    """Replace values, and update their checksums."""
    with h5py.File(path, "a") as file:
        file[name][rows] = values
    update_checksums(path, name)


def test_a_valid_file_passes_every_check(path):
    before = path.read_bytes()
    result = verify(path)
    assert_ok(result)
    assert result.stdout.splitlines() == [
        f"images: {N} of 5x4x3, their fingerprint agrees",
        "codes: of 20 finite values, all in the unit ball",
        f"ids: {N}, all unique",
        "split: 24 train, 6 test, 0 validation",
        "labels: 3, with names",
        "attributes: 100",
        "blocks: all read, their checksums agree",
    ]
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("name", "row", "rows"),
    [
        ("image", 7, "'image' of rows 6 to 8 cannot be read or has changed"),
        ("code", 5, "'code' of rows 4 to 5 cannot be read or has changed"),
        ("attribute", 9, "'attribute' of rows 8 to 9 cannot be read or has changed"),
        ("label", 1, "'label' of rows 0 to 29 cannot be read or has changed"),
    ],
)
@pytest.mark.parametrize("zeros", [False, True], ids=["flipped bit", "zeros"])
def test_a_chunk_with_a_wrong_checksum(path, name, row, rows, zeros):
    overwrite(path, name, row, zeros=zeros)
    fails(path, "data.hdf5 is damaged", rows, "--force")


def test_several_damaged_chunks(path):
    for row in (0, 4, 29):
        overwrite(path, "image", row, zeros=False)
    fails(path, "'image' of rows 0 to 5, 27 to 29 cannot be read or has changed")


@pytest.mark.parametrize("change_to", ["a pixel", "the order"])
def test_changed_images_with_valid_checksums(path, change_to):
    with h5py.File(path) as file:
        images = file["image"][:]
    changed = images[::-1] if change_to == "the order" else np.where(np.arange(N) == 7, images.T ^ 1, images.T).T
    change(path, "image", slice(None), changed)
    fails(path, "do not match their fingerprint")


def test_codes_that_are_not_finite_or_outside_the_ball(path):
    change(path, "code", 17, np.full(20, 0.3))
    change(path, "code", 4, np.full(20, -2))
    fails(path, "the code of rows 4, 17 is not in the unit ball")
    change(path, "code", slice(8, 10), np.nan)
    fails(path, "the code of rows 8 to 9 is not finite")


def test_ids_labels_splits_and_names(path):
    listing = path.with_name("id.txt")
    text = listing.read_text()
    listing.write_text(text.replace("id 7\n", "id 8\n"))
    fails(path, "id.txt has changed since data.hdf5 was built")
    lines = text.splitlines(keepends=True)
    listing.write_text("".join([*lines[1:], lines[0]]))
    fails(path, "id.txt has changed since data.hdf5 was built")
    listing.write_text(text.replace("id 7\n", ""))
    fails(path, f"lists 29 ids and data.hdf5 holds {N}")
    listing.write_text(text)
    change(path, "label", [3, 11], 3)
    fails(path, "the label of rows 3, 11 is none of the 3 with names")
    change(path, "label", [3, 11], 0)
    change(path, "split", 5, 3)
    fails(path, "'split' must hold integers from 0 to 2")
    change(path, "split", slice(None), 1)
    fails(path, "no training images")
    change(path, "split", slice(None), 0)
    assert_ok(verify(path))
    change(path, "attribute", (4, 4), 2)
    fails(path, "'attribute' must hold integers from 0 to 1")
    with h5py.File(path, "a") as file:
        file["attribute"][4, 4] = 0
    update_checksums(path, "attribute")
    with h5py.File(path, "a") as file:
        file.attrs["attribute_names"] = ["one"]
    fails(path, "names 1 attributes and holds 100")


def test_a_file_that_was_built_without_checksums_is_reported_as_unchecked(path):
    """Earlier versions wrote HDF5's Fletcher-32 alone, which accepts zeros."""
    with h5py.File(path, "a") as file:
        codes = file["code"][:]
        del file["code"], file.attrs["ids_crc32"]
        file.create_dataset("code", data=codes, chunks=(2, 20), fletcher32=True)
    result = verify(path)
    assert_ok(result)
    assert result.stdout.splitlines()[-1] == "blocks: all read, unchecked: code, ids without checksums"
    result = call("download.py", "--info", path.parent.name, "--data_dir", path.parent.parent)
    assert "none of code, ids" in assert_ok(result) + result.stdout


@pytest.mark.parametrize("attribute", ["crc32", "crc32_rows"])
@pytest.mark.parametrize("value", [None, 7, 0, "text", [1.5] * 10, 1 << 40])
def test_checksums_that_do_not_fit(path, attribute, value):
    with h5py.File(path, "a") as file:
        del file["image"].attrs[attribute]
        if value is not None:
            file["image"].attrs[attribute] = value
    fails(path, "the checksums of 'image' do not fit it")


def test_a_minimal_file_made_by_the_user(tmp_path):
    images, codes = samples(N)
    path = write_flat(tmp_path / "CATS", images / 255, codes * 10)
    assert np.linalg.norm(codes * 10, axis=1).max() > 1
    assert verify(path).stdout.splitlines() == [
        f"images: {N} of 5x4x3, no fingerprint is recorded",
        f"codes: of 3 finite values, {(np.linalg.norm(codes * 10, axis=1) > 1).sum()} outside the unit ball, "
        "as they were given",
        "ids: none listed, the rows are numbered 0 to 29",
        "split: none in the file, training uses a seeded random one",
        "labels: none",
        "attributes: none",
        "blocks: all read, unchecked: image, code, ids without checksums",
    ]


def test_the_older_layout(tmp_path):
    images, codes = samples(N)
    path = write_grouped(tmp_path / "CATS", images, codes, [f"id {i}" for i in range(N)])
    result = verify(path)
    assert_ok(result)
    assert f"images: {N} of 5x4x3, no fingerprint" in result.stdout
    assert "unchecked, there are no checksums in the older layout" in result.stdout
    with h5py.File(path, "a") as file:
        del file["id 4/image"]
        file["id 4"].create_dataset("image", data=images[4], chunks=(5, 4, 3), fletcher32=True)
    overwrite(path, "id 4/image", 0, zeros=False)
    fails(path, "image of row 4 (id 'id 4') cannot be read or has changed")


def test_a_small_file_that_declares_huge_arrays(tmp_path):
    path = tmp_path / "CATS" / "data.hdf5"
    path.parent.mkdir()
    with h5py.File(path, "w") as file:
        file.create_dataset("image", (1 << 40, 5, 4, 3), "u1", chunks=(1, 5, 4, 3))
        file.create_dataset("code", (1 << 40, 3), "f4", chunks=(1, 3))
    fails(path, "'/image' declares 65970.7 GB, of which the file stores 0.0 GB")


def test_a_missing_dataset_and_flags_without_effect(tmp_path):
    assert_one_line_error(call("download.py", "--verify", "CATS", "--data_dir", tmp_path), "no dataset CATS")
    assert_one_line_error(call("download.py", "--verify", "CATS", "--force"), "--force has no effect with --verify")
    assert_one_line_error(call("download.py", "--verify", "CATS", "--seed", 1), "--seed has no effect with --verify")
    assert_one_line_error(call("download.py", "--verify", "A", "--info", "A"), "give one of", "--info or --verify")


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([7], "row 7"),
        ([3, 4, 5, 9], "rows 3 to 5, 9"),
        ([0, 2, 4, 6, 8, 10, 12, 13], "rows 0, 2, 4, 6, 8 and 3 more"),
    ],
)
def test_formatted_row_numbers(rows, words):
    assert spans(np.array(rows)) == words
