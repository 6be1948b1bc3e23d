"""download.py --info: the numbers of a file, computed anew here, and a picture of its images."""

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


def made(tmp_path, **changed):
    """A file with labels 0, 1 and 4, two attributes, and known codes."""
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
        **changed,
    }
    write_flat(tmp_path / "CATS", images, codes, attributes=attributes, **arrays)
    return images, codes, arrays


def test_the_numbers_are_those_of_the_arrays(tmp_path):
    _, codes, arrays = made(tmp_path)
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


def test_the_picture_shows_images_of_the_file_by_the_seed(tmp_path):
    images, *_ = made(tmp_path)
    info(tmp_path)
    first = sheet(tmp_path)
    # Eight rows of eight, seven times enlarged: the middle of each is one of the images, enlarged in the same way.
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


def test_images_are_not_all_read(tmp_path, monkeypatch):
    """A file of any size: beside the codes, and what is small, the 64 images of the picture."""
    made(tmp_path, fingerprint="f" * 64)
    read = []
    take = h5py.Dataset.__getitem__

    def spy(self, *args, **options):
        values = take(self, *args, **options)
        if self.name == "/image":
            read.append(len(values))
        return values

    monkeypatch.setattr(h5py.Dataset, "__getitem__", spy)
    monkeypatch.setattr(
        "glo.data.lazy_array.PIECE_BYTES", 64
    )  # a row: rows between those that are asked for are not read
    assert "f" * 64 in info(tmp_path)
    assert sum(read) == 64


def test_the_older_layout(tmp_path):
    images, codes = samples(5, (8, 8))
    write_grouped(tmp_path / "CATS", images, codes, list("abcde"))
    text = info(tmp_path)
    assert "5 of 8x8x1" in text
    assert "none in the file" in text
    assert "given" in text
    assert sheet(tmp_path).std() > 40


@pytest.mark.parametrize("value", ["much", 7.5, np.nan, [0.5, 0.5]])
def test_an_explained_variance_that_is_none(tmp_path, value):
    made(tmp_path, explained_variance=value)
    assert "explaining" not in info(tmp_path)


def test_a_reader_that_has_seen_enough(tmp_path):
    made(tmp_path)
    command = [sys.executable, "-u", ROOT / "download.py", "--info", "CATS", "--data_dir", tmp_path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


def test_one_line_for_what_cannot_be_shown(tmp_path):
    asked = ["--info", "CATS", "--data_dir", tmp_path]
    assert_one_line_error(call("download.py", *asked), "no dataset CATS", "python download.py --datasets CATS")
    assert_one_line_error(call("download.py", *asked, "--dimension", 3), "--dimension has no effect with --info")
    made(tmp_path)
    os.mkdir(tmp_path / "CATS" / "contact_sheet.png")
    assert_one_line_error(call("download.py", *asked), "cannot write", "contact_sheet.png")
    (tmp_path / "CATS" / "data.hdf5").write_bytes(b"\x89HDF")
    assert_one_line_error(call("download.py", *asked), "not a sound HDF5 file")
