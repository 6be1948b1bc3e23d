"""Zip archives that may be damaged or malicious: members are read one by one, and invalid archives are refused."""

import struct
import zipfile

import pytest

from datasets import archive
from datasets.picture import PictureError
from glo.runtime.errors import UserError


def write_zip(path, members, **options):
    with zipfile.ZipFile(path, "w", **options) as file:
        for name, content in members:
            file.writestr(name, content)
    return path


def test_members_by_file_name(tmp_path):
    members = [("a/1.jpg", b"one"), ("a/", b""), ("a/notes.txt", b"x"), ("__MACOSX/a/._1.jpg", b"y"), ("2.JPG", b"two")]
    readers = archive.pictures(write_zip(tmp_path / "x.zip", members), ".jpg")
    assert {name: read() for name, read in readers.items()} == {"1.jpg": b"one", "2.JPG": b"two"}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    ("members", "words"),
    [
        ([("../1.jpg", b"x")], "'../1.jpg', which points outside"),
        ([("a/../../1.jpg", b"x")], "which points outside"),
        ([("/etc/1.jpg", b"x")], "which points outside"),
        ([("C:\\1.jpg", b"x")], "which points outside"),
        ([("a\\..\\1.jpg", b"x")], "which points outside"),
        ([("a/..", b"x")], "which points outside"),
        ([("a/1.jpg", b"x"), ("a/1.jpg", b"y")], "contains 1.jpg twice"),
        ([("a/1.jpg", b"x"), ("b/1.jpg", b"y")], "contains 1.jpg twice"),
        ([("a/1.jpg", bytes(1 << 20))], "is too large when unpacked at 'a/1.jpg'"),
        ([(f"{number}.jpg", bytes(100_000)) for number in range(9)], "is too large when unpacked"),
    ],
)
def test_archives_that_are_not_trusted(tmp_path, members, words):
    path = write_zip(tmp_path / "x.zip", members, compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(UserError) as caught:
        archive.pictures(path, ".jpg")
    assert words in str(caught.value)
    assert str(path) in str(caught.value)


def test_names_with_dots_are_accepted(tmp_path):
    assert set(archive.pictures(write_zip(tmp_path / "x.zip", [("a..b/1..jpg", b"x")]), ".jpg")) == {"1..jpg"}


def test_a_member_that_is_larger_than_declared(tmp_path):
    """No more bytes are read than the archive declares."""
    path = write_zip(tmp_path / "x.zip", [("1.jpg", bytes(range(256)) * 8)], compression=zipfile.ZIP_DEFLATED)
    data = path.read_bytes()
    path.write_bytes(data.replace(struct.pack("<I", 2048), struct.pack("<I", 20)))
    with pytest.raises(PictureError, match="damaged in the archive"):
        archive.pictures(path, ".jpg")["1.jpg"]()


def test_damage(tmp_path):
    path = write_zip(tmp_path / "x.zip", [("1.jpg", bytes(range(256)) * 8)])
    whole = path.read_bytes()
    path.write_bytes(whole[:500] + b"!" + whole[501:])
    with pytest.raises(PictureError, match="damaged in the archive"):
        archive.pictures(path, ".jpg")["1.jpg"]()
    for content in (b"", whole[:-30], b"PK" + bytes(100)):
        path.write_bytes(content)
        with pytest.raises(UserError, match="not a valid zip archive"):
            archive.pictures(path, ".jpg")
    path.unlink()
    with pytest.raises(UserError, match="No such file"):
        archive.pictures(path, ".jpg")
