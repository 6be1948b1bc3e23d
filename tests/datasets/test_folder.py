"""Folders of pictures: links, folders that cannot be read, and names of any bytes."""

import errno
import logging
import os
import struct

import h5py
import numpy as np
import pytest
from PIL import Image

from datasets import folder
from glo.runtime.errors import UserError
from tests.support import assert_ok, assert_one_line_error, call, run

NOT_UTF8 = os.fsdecode(b"bad\xff")
GAUSSIAN = ("--distribution", "Gaussian", "--dimension", 2)


def save(path, shade=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (4, 4), shade).save(path, "PNG")
    return path


# --- links --------------------------------------------------------------------------------------------------------


def test_links_out_of_the_folder_are_followed_and_counted(tmp_path, caplog):
    caplog.set_level(logging.INFO, "glo")
    pictures = tmp_path / "pictures"
    inside = save(pictures / "a.png", 10)
    outside = save(tmp_path / "elsewhere" / "b.png", 20)
    (pictures / "b.png").symlink_to(outside)
    (pictures / "below").mkdir()
    (pictures / "below" / "c.png").symlink_to(os.path.relpath(outside, pictures / "below"))
    (pictures / "d.png").symlink_to(inside)
    images, names = folder.read(pictures, (4, 4), 1)
    assert names == ["a.png", "b.png", "below/c.png", "d.png"]
    assert images[:, 0, 0, 0].tolist() == [10, 20, 20, 10]
    lines = [message for message in caplog.messages if "are links to" in message]
    assert lines == [f"{pictures}: 2 of 4 pictures are links to files outside it, which are followed"]


def test_a_linked_folder_of_plain_pictures_has_no_links(tmp_path, caplog):
    """The folder itself may be reached over a link, and a name that starts like the folder's is outside."""
    caplog.set_level(logging.INFO, "glo")
    save(tmp_path / "pictures" / "a.png")
    (tmp_path / "link").symlink_to("pictures")
    folder.read(tmp_path / "link", (4, 4), 1)
    assert "outside" not in caplog.text
    (tmp_path / "pictures" / "b.png").symlink_to(save(tmp_path / "pictures-2" / "b.png"))
    folder.read(tmp_path / "link", (4, 4), 1)
    assert "1 of 2 pictures are links" in caplog.text


def test_links_to_nothing_and_to_themselves(tmp_path, caplog):
    save(tmp_path / "a.png")
    (tmp_path / "loop.png").symlink_to("loop.png")
    (tmp_path / "gone.png").symlink_to("nowhere.png")
    assert folder.read(tmp_path, (4, 4), 1)[1] == ["a.png"]
    assert "2 of 3 pictures" in caplog.text


# --- folders that cannot be read ----------------------------------------------------------------------------------


@pytest.fixture
def deny(monkeypatch):
    """A function that makes a folder unreadable, also for the superuser, whom permissions do not stop."""

    def unreadable(path):
        def scandir(folder, scandir=os.scandir):
            if os.path.realpath(folder) == os.path.realpath(path):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
            return scandir(folder)

        monkeypatch.setattr(os, "scandir", scandir)

    return unreadable


def test_an_unreadable_folder(tmp_path, deny):
    save(tmp_path / "pictures" / "a.png")
    deny(tmp_path / "pictures")
    with pytest.raises(UserError, match=r"cannot read .*pictures: Permission denied; change its permissions"):
        folder.pictures(tmp_path / "pictures")


def test_an_unreadable_subfolder_is_reported(tmp_path, deny, caplog):
    """A system folder such as lost+found does not stop a build, but no class may vanish in silence."""
    save(tmp_path / "a" / "x.png")
    save(tmp_path / "b" / "y.png")
    deny(tmp_path / "b")
    assert folder.pictures(tmp_path) == ["a/x.png"]
    assert f"cannot read {tmp_path / 'b'} (Permission denied): its pictures are left out" in caplog.text


def test_only_an_unreadable_subfolder(tmp_path, deny):
    save(tmp_path / "b" / "y.png")
    deny(tmp_path / "b")
    with pytest.raises(UserError, match=r"cannot read .*b: Permission denied"):
        folder.pictures(tmp_path)


def test_a_name_that_is_too_long(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    long = "x" * 300
    assert_one_line_error(call("download.py", "--images", long, "--name", "A"), "File name too long")
    for dataset in (("MNIST",), ("CELEBA",), ("LSUN", "--category", "bedroom")):
        assert_one_line_error(call("download.py", "--datasets", *dataset, "--source", long), "no such folder: xxx")


# --- names --------------------------------------------------------------------------------------------------------


def test_names_that_are_not_utf8(tmp_path, monkeypatch):
    """Of the folder, of a class and of a picture: all are stored with escapes."""
    top = tmp_path / NOT_UTF8
    for name in (NOT_UTF8, "b"):
        save(top / name / f"{NOT_UTF8}.png")
    monkeypatch.chdir(top)
    build = ("download.py", "--images", ".", "--name", "A", "--data_dir", tmp_path / "data", *GAUSSIAN)
    assert_ok(call(*build))
    with h5py.File(tmp_path / "data" / "A" / "data.hdf5") as file:
        assert file.attrs["source"] == r"bad\udcff"
        assert list(file.attrs["label_names"]) == ["b", r"bad\udcff"]
        np.testing.assert_array_equal(file["label"][:], [0, 1])
    assert (tmp_path / "data" / "A" / "id.txt").read_text() == "b/bad\\udcff.png\nbad\\udcff/bad\\udcff.png\n"
    assert "already exists with these settings" in assert_ok(call(*build))
    assert_ok(call(*build, "--labels", r"bad\udcff", "--force"))
    with h5py.File(tmp_path / "data" / "A" / "data.hdf5") as file:
        assert file["label"][:].tolist() == [1]


def test_class_folders_with_the_same_escaped_name(tmp_path):
    for name in ("a\nb", "a_b"):
        save(tmp_path / name / f"{len(list(tmp_path.iterdir()))}.png")
    with pytest.raises(UserError, match="two class folders"):
        folder.collection(tmp_path)


@pytest.mark.parametrize("mode", [("--images", "."), ("--npz", "x.npz")])
def test_a_current_folder_that_was_deleted(tmp_path, monkeypatch, mode):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    result = call("download.py", *mode, "--name", "A", "--data_dir", tmp_path / "data")
    assert_one_line_error(result, "the current folder no longer exists")


# --- messages -----------------------------------------------------------------------------------------------------


def test_damaged_pictures_print_no_warnings_of_pillow(tmp_path):
    """A process is started, because pytest sets the filters of warnings of its own."""
    exif = Image.Exif()
    exif[0x010E] = "x" * 50
    Image.new("RGB", (4, 4)).save(tmp_path / "a.jpg", exif=exif)
    content = (tmp_path / "a.jpg").read_bytes()
    at = content.index(struct.pack("<I", 51))  # the length of the description: now it is longer than the file
    (tmp_path / "a.jpg").write_bytes(content[:at] + struct.pack("<I", 10**6) + content[at + 4 :])
    Image.new("RGB", (4, 4)).save(tmp_path / "b.tif")
    content = (tmp_path / "b.tif").read_bytes()
    at = content.index(struct.pack("<HHI", 277, 3, 1))  # samples per pixel
    (tmp_path / "b.tif").write_bytes(content[: at + 8] + struct.pack("<H", 200) + content[at + 10 :])
    result = run("download.py", "--images", ".", "--name", "A", "--data_dir", "data", *GAUSSIAN, cwd=tmp_path)
    lines = assert_ok(result).splitlines()
    assert "1 of 2 pictures in . are unreadable" in result.stderr
    assert all(line.startswith("[") for line in lines), result.stderr
