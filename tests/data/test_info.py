"""download.py --info: the figures, compared with those computed from the arrays, and the contact sheet."""

import errno
import os
import subprocess
import sys

import h5py
import numpy as np
import pytest
from PIL import Image

from tests.support import ROOT, assert_ok, assert_one_line_error, call, samples, write_flat, write_grouped

N = 200


def info(tmp_path, *args):
    result = call("download.py", "--info", "CATS", "--data_dir", tmp_path, *args)
    assert_ok(result)
    return result.stdout


def sheet(tmp_path):
    return np.asarray(Image.open(tmp_path / "CATS" / "contact_sheet.png"))


def write_dataset(tmp_path, **changed_attributes):
    """Write a file with labels 0, 1 and 4, two attributes, and 50 of 200 codes on the unit sphere."""
    random = np.random.default_rng(1)
    images, codes = samples(N, (8, 8, 1))
    codes[:50] /= np.linalg.norm(codes[:50], axis=1, keepdims=True)
    arrays = {
        "split": random.choice(np.array([0, 0, 0, 1, 2], np.uint8), N),
        "label": random.choice(np.array([0, 1, 4], np.int32), N),
        "attribute": (random.random((N, 2)) < [0.2, 0.7]).astype(np.int8),
    }
    attributes = {
        "label_names": ["cat", "dog", "cow", "owl", "a\x1b[31mfox\n"],
        "attribute_names": ["Smiling", "Hat"],
        "distribution": "PCA",
        "source": "here",
        "seed": 7,
        "explained_variance": 0.8765,
        **changed_attributes,
    }
    write_flat(tmp_path / "CATS", images, codes, attributes=attributes, **arrays)
    return images, codes, arrays


def test_the_figures_agree_with_the_arrays(tmp_path):
    _, codes, arrays = write_dataset(tmp_path)
    text = info(tmp_path)
    words = [line.split() for line in text.splitlines()]
    assert ["images", "200", "of", "8x8x1"] in words
    split, label = arrays["split"], arrays["label"]
    counts = np.bincount(split)
    assert f"{counts[0]} train, {counts[1]} test, {counts[2]} validation" in text
    for number, name in ((0, "cat"), (1, "dog"), (4, "a?[31mfox?")):
        row = [str(((label == number) & (split == part)).sum()) for part in range(3)]
        assert [str(number), f"({name})", *row] in words
    for name, share in zip(("Smiling", "Hat"), arrays["attribute"].mean(axis=0), strict=True):
        assert [name, f"{100 * share:.1f}", "%"] in words
    low, middle, high = np.percentile(np.linalg.norm(codes, axis=1), [5, 50, 95])
    assert f"norms {low:.3f}, {middle:.3f} and {high:.3f}" in text
    assert "3 values each, PCA explaining 87.6 % of the variance" in text
    assert "25.0 % on the unit sphere" in text
    assert "here, seed 7" in text
    assert "\x1b" not in text


def test_the_contact_sheet_shows_a_seeded_choice_of_images(tmp_path):
    images, *_ = write_dataset(tmp_path)
    info(tmp_path)
    first = sheet(tmp_path)
    # Eight rows of eight images, enlarged seven times. Each must equal one of the images, enlarged in the same way.
    large = [np.asarray(Image.fromarray(image[..., 0]).resize((56, 56), Image.Resampling.BICUBIC)) for image in images]
    large = {image.tobytes() for image in large}
    shown = {
        first[22 + 2 + 58 * row :][:56, 2 + 58 * column :][:, :56].tobytes() for row in range(8) for column in range(8)
    }
    assert len(shown) == 64
    assert shown <= large
    info(tmp_path)
    np.testing.assert_array_equal(sheet(tmp_path), first)
    info(tmp_path, "--seed", 1)
    assert not np.array_equal(sheet(tmp_path), first)


def test_only_the_images_of_the_contact_sheet_are_read(tmp_path, monkeypatch):
    """Files of any size can be described: only 64 images are read."""
    write_dataset(tmp_path, fingerprint="f" * 64)
    counts = []
    getitem = h5py.Dataset.__getitem__

    def counting_getitem(self, *args, **options):
        values = getitem(self, *args, **options)
        if self.name == "/image":
            counts.append(len(values))
        return values

    monkeypatch.setattr(h5py.Dataset, "__getitem__", counting_getitem)
    monkeypatch.setattr("glo.data.lazy_array.PIECE_BYTES", 64)  # one row: no rows between the chosen ones are read
    assert "f" * 64 in info(tmp_path)
    assert sum(counts) == 64


def test_the_older_layout(tmp_path):
    images, codes = samples(5, (8, 8))
    write_grouped(tmp_path / "CATS", images, codes, list("abcde"))
    text = info(tmp_path)
    assert "5 of 8x8x1" in text
    assert "none in the file" in text
    assert "given" in text
    assert sheet(tmp_path).std() > 40


@pytest.mark.parametrize("value", ["much", 7.5, np.nan, [0.5, 0.5]])
def test_an_invalid_explained_variance_is_ignored(tmp_path, value):
    write_dataset(tmp_path, explained_variance=value)
    assert "explaining" not in info(tmp_path)


def test_a_reader_that_closes_the_pipe(tmp_path):
    write_dataset(tmp_path)
    command = [sys.executable, "-u", ROOT / "download.py", "--info", "CATS", "--data_dir", tmp_path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


def test_errors_are_one_line(tmp_path):
    flags = ["--info", "CATS", "--data_dir", tmp_path]
    assert_one_line_error(call("download.py", *flags), "no dataset CATS", "python download.py --datasets CATS")
    assert_one_line_error(call("download.py", *flags, "--dimension", 3), "--dimension has no effect with --info")
    write_dataset(tmp_path)
    (tmp_path / "CATS" / "data.hdf5").write_bytes(b"\x89HDF")
    assert_one_line_error(call("download.py", *flags), "not a valid HDF5 file")


def test_a_picture_that_cannot_be_written_is_no_failure(tmp_path, monkeypatch):
    write_dataset(tmp_path)

    def refuse(*_):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(os, "replace", refuse)  # as in a read-only folder, in which root may write all the same
    result = call("download.py", "--info", "CATS", "--data_dir", tmp_path)
    assert "no picture: cannot write" in assert_ok(result)
    assert "200 of 8x8x1" in result.stdout
    assert sorted(os.listdir(tmp_path / "CATS")) == ["data.hdf5"]


@pytest.mark.parametrize("kind", ["picture", "text", "empty", "folder", "FIFO", "dangling link"])
def test_only_own_contact_sheets_are_replaced(tmp_path, kind):
    write_dataset(tmp_path)
    path = tmp_path / "CATS" / "contact_sheet.png"
    if kind == "picture":
        Image.new("L", (3, 3)).save(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "FIFO":
        os.mkfifo(path)
    elif kind == "dangling link":
        path.symlink_to("nowhere")
    else:
        path.write_text("mine" * (kind == "text"))
    before = path.lstat()
    result = call("download.py", "--info", "CATS", "--data_dir", tmp_path)
    assert "contact_sheet.png was not written by this toolkit: add --force" in assert_ok(result)
    assert path.lstat() == before or path.lstat().st_ino == before.st_ino
    if kind != "folder":
        info(tmp_path, "--force")
        assert sheet(tmp_path).std() > 40
        info(tmp_path, "--seed", 5)  # which may replace it again
