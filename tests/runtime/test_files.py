"""Atomic writes: a file is written completely or not at all."""

import os

import pytest

from glo.runtime import files
from glo.runtime.errors import UserError


def test_a_new_file_in_a_new_folder(tmp_path):
    path = tmp_path / "a" / "b" / "notes.txt"
    files.write_text(path, "z ∈ ball\n")
    assert path.read_bytes() == "z ∈ ball\n".encode()
    assert os.listdir(path.parent) == ["notes.txt"]


def test_the_old_file_is_kept_until_the_new_one_is_complete(tmp_path):
    path = tmp_path / "picture.png"
    path.write_text("old")
    with files.replacing(path) as temporary:
        assert temporary.parent == path.parent  # a rename across file systems would copy
        assert temporary.suffix == ".png"
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["picture.png"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, UserError])
def test_an_interrupted_write_keeps_the_old_file_and_leaves_no_other(tmp_path, error):
    path = tmp_path / "data"
    path.write_text("old")

    def write():
        with files.replacing(path) as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(error):
        write()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["data"]


def test_a_block_that_writes_nothing_is_an_error(tmp_path):
    with pytest.raises(UserError, match="cannot write"), files.replacing(tmp_path / "data"):
        pass
    assert os.listdir(tmp_path) == []


def test_paths_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("a file")
    (tmp_path / "folder").mkdir()
    for path in (
        tmp_path / "file" / "data",
        tmp_path / "folder",
        tmp_path / ("x" * 300) / "data",
        tmp_path / ("x" * 300),
    ):
        with pytest.raises(UserError, match="cannot write") as raised:
            files.write_text(path, "text")
        assert "free some space" not in str(raised.value)  # it would not help
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"]


def test_a_full_disk(tmp_path):
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    path = tmp_path / "data"
    path.write_text("old")

    def write():
        with files.replacing(path) as temporary:
            temporary.symlink_to("/dev/full")
            temporary.write_text("text")

    with pytest.raises(UserError, match="No space left on device; free some space"):
        write()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["data"]
