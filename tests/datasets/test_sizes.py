"""Sizes that files declare are compared with free memory or a limit first, and every long wait is announced."""

import gzip
import io
import logging
import os
import shutil
import struct
import tarfile
import zipfile
from types import SimpleNamespace

import lmdb
import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from datasets import archive, celeba, cifar10, fetch, folder, idx, lsun, lsun_archive, svhn
from glo.building.writer import Writer
from glo.runtime import memory
from glo.runtime.errors import UserError
from glo.settings import BuildSettings
from tests.support import assert_ok, assert_one_line_error, call


@pytest.fixture
def free(monkeypatch):
    """A function that sets the number of free bytes."""
    return lambda count: monkeypatch.setattr(memory, "available", lambda: count)


def test_idx_arrays_must_fit_into_memory(tmp_path, free):
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(bytes((0, 0, 8, 3)) + struct.pack(">3I", 5, 4, 4) + bytes(80)))
    free(80)
    assert idx.read(path, 3).shape == (5, 4, 4)
    free(79)
    with pytest.raises(UserError, match=r"needs .* GB of memory"):
        idx.read(path, 3)


def test_svhn_arrays_must_fit_into_memory(tmp_path, free):
    path = tmp_path / "train_32x32.mat"
    savemat(path, {"X": np.zeros((32, 32, 3, 2), np.uint8), "y": np.ones((2, 1), np.uint8)})
    free(32 * 32 * 3 * 2)
    assert svhn.read(path)[0].shape == (32, 32, 3, 2)
    free(32 * 32 * 3 * 2 - 1)
    with pytest.raises(UserError, match=r"needs .* GB of memory"):
        svhn.read(path)


def test_all_pictures_of_a_folder_must_fit_into_memory(tmp_path, free):
    """The pictures of evaler.py --images: blocks, and the array that they are joined to."""
    for name in "abc":
        Image.new("L", (4, 4)).save(tmp_path / f"{name}.png")
    free(2 * 3 * 16)
    assert folder.read(tmp_path, (4, 4), 1)[0].shape == (3, 4, 4, 1)
    free(2 * 3 * 16 - 1)
    with pytest.raises(UserError, match=r"needs .* GB of memory"):
        folder.read(tmp_path, (4, 4), 1)


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    """A folder with 40 pictures of 8x8 pixels in the current folder, and a disk with 10 KB of free space."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=10_000))
    (tmp_path / "pictures").mkdir()
    for row in range(40):
        Image.new("L", (8, 8), row).save(tmp_path / "pictures" / f"{row:02d}.png")


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--distribution", "Gaussian", "--dimension", 65536), ["40 images of 64 values and codes of 65536 takes"]),
        (("--size", 30), ["40 images of 900 values", "lower --size, --dimension or --max_samples"]),
        (("--dimension", 41), ["--dimension 41 is more than PCA can give"]),
    ],
)
def test_builds_of_pictures_that_cannot_end_well_are_refused_after_the_first_block(pictures, monkeypatch, flags, words):
    appended = []
    monkeypatch.setattr(Writer, "append", lambda self, block: appended.append(block))
    assert_one_line_error(call("download.py", "--images", "pictures", "--name", "CATS", *flags), *words)
    assert not appended


def test_random_codes_for_which_the_disk_has_no_space_are_refused(pictures):
    np.savez("images.npz", image=np.zeros((40, 8, 8), np.uint8))
    flags = ("--npz", "images.npz", "--name", "CATS", "--distribution", "Gaussian", "--dimension")
    assert_one_line_error(call("download.py", *flags, 65536), "40 codes of 65536 takes", "or lower --dimension")
    assert_ok(call("download.py", *flags, 60))


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_an_extended_tar_header_that_fills_the_memory(tmp_path, monkeypatch, kind):
    """tarfile reads such a header at once, before it returns the member."""
    monkeypatch.setattr(cifar10, "MAX_MEMBER", 1 << 16)
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as file:
        info = tarfile.TarInfo("x")
        info.type, info.size = kind, 1 << 20
        file.addfile(info, io.BytesIO(b"20 comment=" + bytes(info.size)))
    path = tmp_path / "cifar-10-binary.tar.gz"
    path.write_bytes(gzip.compress(stream.getvalue()))
    with pytest.raises(UserError, match="a header of 1,048,576 bytes"):
        list(cifar10.blocks({path.name: path}))


def test_an_lsun_archive_in_another_compression(tmp_path):
    """zipfile unpacks whole blocks of bzip2 and LZMA, of any size."""
    path = tmp_path / "bedroom_val_lmdb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_BZIP2) as file:
        file.writestr("bedroom_val_lmdb/data.mdb", bytes(100))
    with pytest.raises(UserError, match="compressed in another way"):
        lsun_archive._unpack(path, tmp_path / "data.mdb")


def test_long_waits_are_announced(tmp_path, caplog, monkeypatch):
    """Listing, reading sizes, decoding, comparing a checksum, and skipping what an interrupted build has done."""
    caplog.set_level(logging.INFO, "glo")
    pictures = tmp_path / "img_align_celeba"
    pictures.mkdir()
    Image.new("L", (4, 4)).save(pictures / "a.jpg")
    list(folder.collection(pictures).blocks())
    assert caplog.messages == [
        f"listing the pictures in {pictures}",
        "reading the sizes of 1 pictures",
        f"decoding 1 pictures in {pictures}",
    ]
    caplog.clear()
    celeba._images(pictures)
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as file:
        file.write(pictures / "a.jpg", "a.jpg")
    archive.pictures(tmp_path / "x.zip", ".jpg")
    monkeypatch.setattr(fetch, "LARGE", 10)
    file = fetch.RemoteFile("x.zip", (), md5="0" * 32)
    assert not file.matches(tmp_path / "x.zip")
    with lmdb.open(str(tmp_path / "db"), map_size=1 << 20) as database, database.begin(write=True) as transaction:
        for key in (b"a", b"b"):
            transaction.put(key, (pictures / "a.jpg").read_bytes())
    assert [item.id for item in lsun._items(tmp_path / "db", "val", None, 1, 2)] == ["val/b"]
    assert caplog.messages == [
        f"listing the pictures in {pictures}",
        f"listing the members of {tmp_path / 'x.zip'}",
        f"comparing the md5 of {tmp_path / 'x.zip'}",
        f"{tmp_path / 'db'}: skipping the first 1 pictures",
    ]


def test_links_of_an_unpacked_celeba(tmp_path, caplog):
    caplog.set_level(logging.INFO, "glo")
    pictures = tmp_path / "img_align_celeba"
    pictures.mkdir()
    Image.new("L", (4, 4)).save(tmp_path / "elsewhere.jpg")
    (pictures / "a.jpg").symlink_to("../elsewhere.jpg")
    assert list(celeba._images(pictures)) == ["a.jpg"]
    assert "1 of 1 pictures are links to files outside" in caplog.text


def test_unreadable_folders_of_celeba_and_lsun(tmp_path, monkeypatch):
    pictures = tmp_path / "img_align_celeba"
    pictures.mkdir()

    def denied(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "listdir", denied)
    with pytest.raises(UserError, match=r"cannot read .*: Permission denied"):
        lsun.find(BuildSettings(category="bedroom", source=str(tmp_path)), tmp_path)
    with pytest.raises(UserError, match=r"cannot read .*img_align_celeba: Permission denied"):
        celeba._images(pictures)
