"""CelebA, built from small files in its format, and errors in such files."""

import dataclasses
import hashlib
import io
import zipfile

import h5py
import numpy as np
import pytest
from PIL import Image

from datasets import celeba, fetch, transfer
from glo.settings import BuildSettings
from tests.support import assert_ok, assert_one_line_error, attributes_of, call

NAMES = [f"{number:06d}.jpg" for number in range(1, 13)]
ATTRIBUTES = ("Smiling", "Young", "Wearing_Hat")
SPLITS = np.array([0] * 7 + [1] * 2 + [2] * 3)
HAS = np.random.default_rng(0).integers(0, 2, (12, 3))
BUILD = ("--datasets", "CELEBA", "--source", "files", "--distribution", "Gaussian", "--dimension", 2)


def jpeg(shade, width=178, height=218):
    """A picture of one colour, with white borders at the top and bottom that the default crop removes."""
    pixels = np.full((height, width, 3), (shade, 255 - shade, 90), np.uint8)
    pixels[:50] = pixels[-50:] = 255
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=95)
    return stream.getvalue()


def attribute_list(end="\n", names=NAMES, has=HAS):
    rows = [f"{name} {' '.join('1' if value else '-1' for value in row)}" for name, row in zip(names, has, strict=True)]
    return end.join([str(len(names)), " ".join(ATTRIBUTES) + " ", *rows, ""])


@pytest.fixture
def files(tmp_path, monkeypatch):
    """The folder `files` with the three files, in the current folder."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "files"
    folder.mkdir()
    with zipfile.ZipFile(folder / "img_align_celeba.zip", "w") as archive:
        archive.writestr("img_align_celeba/", "")
        archive.writestr("__MACOSX/img_align_celeba/._000001.jpg", "no picture")
        for number, name in enumerate(NAMES):
            archive.writestr(f"img_align_celeba/{name}", jpeg(20 * number))
    (folder / "list_attr_celeba.txt").write_text(attribute_list(), newline="")
    partition = "".join(f"{name} {split}\n" for name, split in zip(NAMES, SPLITS, strict=True))
    (folder / "list_eval_partition.txt").write_text(partition, newline="")
    return folder


def built():
    with h5py.File("datasets/celeba/data.hdf5") as file:
        return {name: file[name][:] for name in file}, attributes_of(file)


def check_rows(arrays, rows):
    np.testing.assert_array_equal(arrays["attribute"], HAS[rows])
    np.testing.assert_array_equal(arrays["split"], np.array([0, 2, 1])[SPLITS[rows]])  # 1 is test here, 2 validation
    middle = arrays["image"][:, 32, 32].astype(int)
    np.testing.assert_allclose(middle, [(20 * row, 255 - 20 * row, 90) for row in rows], atol=6)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("unpacked", [None, ".", "img_align_celeba"])
def test_celeba(files, end, unpacked):
    (files / "list_attr_celeba.txt").write_text(attribute_list(end), newline="")
    text = (files / "list_eval_partition.txt").read_text()
    (files / "list_eval_partition.txt").write_text(text.replace("\n", end), newline="")
    if unpacked:
        with zipfile.ZipFile(files / "img_align_celeba.zip") as archive:
            archive.extractall(files / ("." if unpacked == "." else unpacked))
        (files / "img_align_celeba.zip").unlink()
    log = assert_ok(call("download.py", *BUILD))
    assert "list_attr_celeba.txt: its md5 is not that of the official file" in log
    arrays, attributes = built()
    assert arrays["image"].shape == (12, 64, 64, 3)
    assert attributes["attribute_names"].tolist() == list(ATTRIBUTES)
    assert {"name": "CELEBA", "crop": "108", "size": "64"}.items() <= attributes.items()
    check_rows(arrays, np.arange(12))
    assert arrays["image"][..., 2].max() < 140  # the white borders are cropped
    with open("datasets/celeba/id.txt") as lines:
        assert lines.read().split() == NAMES
    assert "with these settings" in assert_ok(call("download.py", *BUILD, "--crop", "108"))
    assert_one_line_error(call("download.py", *BUILD, "--crop", "178"), "crop 108", "--force")


@pytest.mark.parametrize(
    ("crop", "size", "box"), [("178", "89", (0, 20, 178, 198)), ("none", "109x89", (0, 0, 178, 218))]
)
def test_crops(files, crop, size, box):
    assert_ok(call("download.py", *BUILD, "--crop", crop, "--size", size))
    image = built()[0]["image"][3]
    cropped = Image.open(io.BytesIO(jpeg(60))).crop(box)
    expected = cropped.resize(image.shape[1::-1], Image.Resampling.LANCZOS)
    np.testing.assert_allclose(image[1:-1].astype(int), np.asarray(expected, int)[1:-1], atol=2)


def test_max_samples_is_a_seeded_choice_of_each_split(files):
    chosen = []
    for seed in (0, 0, 1):
        assert_ok(call("download.py", *BUILD, "--max_samples", 2, "--seed", seed, "--force"))
        with open("datasets/celeba/id.txt") as lines:
            rows = np.array([NAMES.index(name) for name in lines.read().split()])
        assert (np.diff(rows) > 0).all()
        assert np.bincount(SPLITS[rows]).tolist() == [2, 2, 2]
        check_rows(built()[0], rows)
        chosen.append(rows.tolist())
    assert chosen[0] == chosen[1] != chosen[2]


def test_blocks_after_skipped_items(files):
    settings = BuildSettings(crop="108")
    paths = {file.name: fetch.locate(file, files) for file in celeba.FILES}
    collection = celeba.collection(settings, (16, 16), paths)
    (full,) = collection.blocks()
    (remaining,) = collection.blocks(skip=5)
    np.testing.assert_array_equal(remaining.images, full.images[5:])
    np.testing.assert_array_equal(remaining.attributes, full.attributes[5:])
    assert (remaining.ids, remaining.items_consumed, full.items_consumed) == (NAMES[5:], 7, 12)


HTML = "<!DOCTYPE html><html><title>Google Drive - Quota exceeded</title></html>"
ROWS = attribute_list().splitlines()


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("list_attr_celeba.txt", HTML, ["HTML page", "mmlab.ie.cuhk.edu.hk"]),
        ("list_eval_partition.txt", HTML, ["HTML page"]),
        ("img_align_celeba.zip", HTML, ["HTML page"]),
        ("img_align_celeba.zip", "PK nothing", ["not a valid zip archive"]),
        ("list_attr_celeba.txt", "", ["first two lines"]),
        ("list_attr_celeba.txt", "\n".join(["13", *ROWS[1:]]), ["first two lines"]),
        ("list_attr_celeba.txt", "\n".join([*ROWS[:1], "A A B", *ROWS[2:]]), ["first two lines"]),
        ("list_attr_celeba.txt", "\n".join(ROWS).replace("000003.jpg", "000003.jpg 1"), ["line 5", "4 values for 3"]),
        ("list_attr_celeba.txt", "\n".join(ROWS).replace("000003.jpg ", "000003.jpg 0 "), ["line 5", "not 0"]),
        ("list_attr_celeba.txt", "\n".join(ROWS).replace("000003", "000002"), ["line 5", "000002.jpg appears twice"]),
        (
            "list_attr_celeba.txt",
            "\n".join(ROWS).replace("000003", "000013"),
            ["does not list 000003.jpg", "(2 such names)"],
        ),
        (
            "list_attr_celeba.txt",
            attribute_list(names=NAMES[:9], has=HAS[:9]),
            ["does not list 000010.jpg", "(3 such names"],
        ),
        (
            "list_attr_celeba.txt",
            attribute_list(names=[*NAMES, "9.jpg"], has=[*HAS, HAS[0]]),
            ["lists 9.jpg, which is not"],
        ),
        ("list_eval_partition.txt", "000001.jpg 0\n000002.jpg 3\n", ["line 2", "0 (train)"]),
        ("list_eval_partition.txt", "000001.jpg 0\n000001.jpg 0\n", ["line 2", "appears twice"]),
        ("list_eval_partition.txt", "000001.jpg 0\n", ["does not list 000002.jpg"]),
    ],
)
def test_invalid_files(files, name, text, words):
    (files / name).write_text(text)
    assert_one_line_error(call("download.py", *BUILD), name, *words)
    assert not (files.parent / "datasets/celeba/data.hdf5").exists()


def test_a_damaged_picture_is_left_out_with_its_attributes(files):
    data = bytearray((files / "img_align_celeba.zip").read_bytes())
    at = data.index(jpeg(20 * 4))
    data[at + 500 : at + 520] = bytes(20)
    (files / "img_align_celeba.zip").write_bytes(data)
    log = assert_ok(call("download.py", *BUILD))
    assert "unreadable: 000005.jpg: damaged in the archive" in log
    check_rows(built()[0], np.delete(np.arange(12), 4))


def test_missing_files_and_flags_without_effect(files):
    for name in ("img_align_celeba.zip", "list_eval_partition.txt"):
        (files / name).unlink()
        assert_one_line_error(call("download.py", *BUILD), name)
    assert_one_line_error(call("download.py", *BUILD, "--labels", "3"), "--labels 3", "attributes")
    assert_one_line_error(call("download.py", *BUILD, "--category", "bedroom"), "--category has no effect")
    assert_one_line_error(call("download.py", *BUILD, "--yes"), "--yes has no effect")
    assert_one_line_error(call("download.py", *BUILD, "--crop", "64"), "--crop must be one of 108, 178, none")


def test_a_failed_download_says_which_files_to_download_in_a_browser(files, monkeypatch):
    def failing_download(url, part, size, limit):
        raise transfer.MirrorError("an HTML page instead of the file")

    monkeypatch.setattr(fetch, "download", failing_download)
    result = call("download.py", "--datasets", "CELEBA", "--size", "64")
    names = [file.name for file in celeba.FILES]
    assert_one_line_error(result, "an HTML page", "datasets/celeba/download", celeba.PAGE, *names)


def test_files_downloaded_in_a_browser_are_used_if_they_are_official(files, monkeypatch):
    for path in files.iterdir():
        (target := files.parent / "datasets/celeba/download" / path.name).parent.mkdir(parents=True, exist_ok=True)
        path.rename(target)
    checksums = {path.name: hashlib.md5(path.read_bytes()).hexdigest() for path in target.parent.iterdir()}
    official = tuple(dataclasses.replace(file, md5=checksums[file.name], urls=()) for file in celeba.FILES)
    monkeypatch.setattr(celeba, "FILES", official)
    assert_ok(call("download.py", *(flag for flag in BUILD if flag not in ("--source", "files"))))
    check_rows(built()[0], np.arange(12))
    target.write_bytes(b"")
    result = call("download.py", "--datasets", "CELEBA", "--force")
    assert_one_line_error(result, "cannot download", target.name)
