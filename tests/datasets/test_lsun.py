"""LSUN, built from small databases in its format, and invalid databases."""

import http.server
import io
import shutil
import threading
import zipfile

import h5py
import lmdb
import numpy as np
import pytest
from PIL import Image

from datasets import lmdb_child, lsun, lsun_archive
from glo.runtime.errors import UserError
from glo.settings import BuildSettings
from tests.support import assert_ok, assert_one_line_error, attributes_of, call

BUILD = ("--datasets", "LSUN", "--category", "bedroom", "--distribution", "Gaussian", "--dimension", 2)


def encoded(shade, kind):
    """A picture of 60 x 40 pixels: white borders at both sides, and one shade of grey between them."""
    pixels = np.full((40, 60, 3), 255, np.uint8)
    pixels[:, 10:50] = shade
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind, quality=95)
    return stream.getvalue()


def write(folder, values):
    with lmdb.open(str(folder), map_size=1 << 24) as database, database.begin(write=True) as transaction:
        for key, value in values.items():
            transaction.put(key.encode(), value)


TRAIN = {f"{row:040x}": encoded(10 + 20 * row, "JPEG" if row % 2 else "WEBP") for row in range(10)}
VAL = {f"{row:040x}": encoded(5 + 20 * row, "WEBP") for row in range(4)}


@pytest.fixture
def files(tmp_path, monkeypatch):
    """The folder `files` with both databases, in the current folder."""
    monkeypatch.chdir(tmp_path)
    for part, values in (("train", TRAIN), ("val", VAL)):
        (tmp_path / "files" / f"bedroom_{part}_lmdb").mkdir(parents=True)
        write(tmp_path / "files" / f"bedroom_{part}_lmdb", values)
    return tmp_path / "files"


def built():
    with h5py.File("datasets/lsun_bedroom/data.hdf5") as file:
        return {name: file[name][:] for name in file}, attributes_of(file)


def test_both_databases(files):
    content = {path: path.read_bytes() for path in files.rglob("*.mdb")}
    assert_ok(call("download.py", *BUILD, "--source", "files", "--size", 16))
    arrays, attributes = built()
    assert arrays["image"].shape == (14, 16, 16, 3)
    shades = np.array([10 + 20 * row for row in range(10)] + [5 + 20 * row for row in range(4)])
    np.testing.assert_allclose(arrays["image"][:, 2:-2, 2:-2].mean(axis=(1, 2, 3)), shades, atol=4)
    assert arrays["image"].max() < 210  # the white borders are cropped
    assert arrays["split"].tolist() == [0] * 10 + [1] * 4
    assert {"name": "LSUN_BEDROOM", "category": "bedroom", "size": "16"}.items() <= attributes.items()
    ids = [f"{part}/{key}" for part, values in (("train", TRAIN), ("val", VAL)) for key in values]
    with open("datasets/lsun_bedroom/id.txt") as lines:
        assert lines.read().split() == ids
    assert {path: path.read_bytes() for path in files.rglob("*.mdb")} == content
    assert "with these settings" in assert_ok(call("download.py", *BUILD, "--source", "files", "--size", 16))
    flags = ("--source", "files", "--max_samples", 3, "--force")
    assert_ok(call("download.py", *BUILD, *flags))
    arrays, _ = built()
    assert arrays["image"].shape == (6, 64, 64, 3)
    np.testing.assert_allclose(arrays["image"][:, 32, 32].mean(axis=1), shades[[0, 1, 2, 10, 11, 12]], atol=4)


def test_a_single_database_has_no_official_split(files):
    shutil.rmtree(files / "bedroom_train_lmdb")
    assert_ok(call("download.py", *BUILD, "--source", "files", "--test_fraction", 0.5))
    assert built()[0]["split"].sum() == 2


def test_blocks_after_skipped_items(files):
    settings = BuildSettings(category="bedroom", source="files")
    collection = lsun.collection(settings, (8, 8), lsun.find(settings, files))
    (full,) = collection.blocks()
    assert (len(full.images), full.items_consumed) == (14, 14)
    for skip in (3, 10, 12):
        (remaining,) = collection.blocks(skip)
        np.testing.assert_array_equal(remaining.images, full.images[skip:])
        np.testing.assert_array_equal(remaining.split, full.split[skip:])
        assert (remaining.ids, remaining.items_consumed) == (full.ids[skip:], 14 - skip)
    assert list(collection.blocks(14)) == []


@pytest.mark.parametrize("reopen", [1, 2000, 1 << 28])
@pytest.mark.parametrize("start", [0, 3, 10])
def test_the_database_is_reopened_where_it_was_closed(files, monkeypatch, reopen, start):
    monkeypatch.setattr(lmdb_child, "REOPEN_BYTES", reopen)
    records = [(key, bytes(value)) for key, value in lmdb_child._records("files/bedroom_train_lmdb", start)]
    assert records == [(key.encode(), value) for key, value in TRAIN.items()][start:]


def test_an_unreadable_value_is_left_out(files):
    write(files / "bedroom_train_lmdb", {f"{4:040x}": TRAIN[f"{4:040x}"][:50]})
    assert f"unreadable: train/{4:040x}" in assert_ok(call("download.py", *BUILD, "--source", "files"))
    assert len(built()[0]["image"]) == 13


def damage(folder, message):
    """Damage the training database so that the error has the given message."""
    data = folder / "bedroom_train_lmdb" / "data.mdb"
    if message == "no data.mdb":
        data.unlink()
    elif message == "an empty one":
        data.write_bytes(b"")
    elif message == "cut short":
        data.write_bytes(data.read_bytes()[: data.stat().st_size // 2])
    elif message == "cannot be read":
        data.write_bytes(bytes(1 << 16))
    elif message == "holds no pictures":
        write(data.parent, dict.fromkeys(TRAIN, b"\x08\x03\x10\x20 no picture"))


@pytest.mark.parametrize("message", ["no data.mdb", "an empty one", "cut short", "cannot be read", "holds no pictures"])
def test_invalid_databases(files, message):
    damage(files, message)
    assert_one_line_error(call("download.py", *BUILD, "--source", "files"), "bedroom_train_lmdb", message)
    assert not (files.parent / "datasets/lsun_bedroom/data.hdf5").exists()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--datasets", "LSUN"), ["needs --category"]),
        ((*BUILD, "--source", "files", "--labels", "3"), ["no labels"]),
        ((*BUILD, "--source", "nowhere"), ["no such folder: nowhere"]),
        (("--datasets", "LSUN", "--category", "tower", "--source", "files"), ["tower_train_lmdb", "bedroom_val_lmdb"]),
        (("--datasets", "LSUN", "--category", "../x"), ["--category must look like"]),
        (BUILD, ["--yes", "46 GB", "--source"]),
        (("--datasets", "LSUN", "--category", "bedrom", "--yes"), ["no category bedrom, did you mean bedroom?"]),
        ((*BUILD, "--crop", "108"), ["--crop has no effect"]),
    ],
)
def test_invalid_command_lines(files, flags, words):
    assert_one_line_error(call("download.py", *flags), *words)


@pytest.fixture
def server(files):
    """The address of a server with the archives of both databases."""
    for part in ("train", "val"):
        name = f"bedroom_{part}_lmdb"
        with zipfile.ZipFile(files / f"{name}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(files / name / "data.mdb", f"{name}/data.mdb")
            archive.writestr(f"{name}/lock.mdb", b"")

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(files))

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}/"
        running.shutdown()


def test_yes_downloads_and_unpacks(files, server):
    assert_ok(call("download.py", *BUILD, "--yes", "--mirror", server))
    assert built()[0]["split"].tolist() == [0] * 10 + [1] * 4
    folder = files.parent / "datasets/lsun_bedroom/download"
    assert sorted(path.name for path in folder.iterdir()) == ["bedroom_train_lmdb", "bedroom_val_lmdb"]
    shutil.rmtree(files)
    assert_ok(call("download.py", *BUILD, "--force", "--size", 8))  # already downloaded: needs no --yes and no network


@pytest.mark.parametrize("message", ["damaged", "not an LSUN archive"])
def test_an_invalid_archive(files, server, message):
    path = files / "bedroom_train_lmdb.zip"
    data = bytearray(path.read_bytes())
    data[200:220] = bytes(20)
    path.write_bytes(data)
    if message == "not an LSUN archive":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("readme.txt", "x")
    result = call("download.py", *BUILD, "--yes", "--mirror", server)
    assert_one_line_error(result, message, "delete it")
    assert not list((files.parent / "datasets").rglob("data.mdb"))


def test_an_archive_whose_start_is_lost(tmp_path):
    """Its members begin before the file does. That is damage, and not an error of the disk."""
    path = tmp_path / "bedroom_val_lmdb.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("bedroom_val_lmdb/data.mdb", bytes(100))
    path.write_bytes(path.read_bytes()[16:])
    with pytest.raises(UserError, match="is damaged"):
        lsun_archive._unpack(path, tmp_path / "data.mdb")
