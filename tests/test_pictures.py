"""Animations of frames of any size, and pictures that cannot be read."""

import os

import imageio.v3 as imageio
import numpy as np
import pytest

from glo import pictures


def test_smaller_frames_are_padded(tmp_path):
    frames = [np.zeros((20, 30, 3), np.uint8), np.zeros((24, 28, 3), np.uint8)]
    pictures.save_gif(tmp_path / "a.gif", frames)
    first, second = imageio.imread(tmp_path / "a.gif", index=None)
    assert first.shape == second.shape == (24, 30, 3)
    assert (first[:20] == 0).all()
    assert (first[20:] == pictures.PAPER).all()
    assert (second[:, :28] == 0).all()
    assert (second[:, 28:] == pictures.PAPER).all()


def test_a_grey_picture_is_read_as_it_was_written(tmp_path):
    picture = np.arange(6 * 4, dtype=np.uint8).reshape(6, 4, 1).repeat(3, axis=2)
    pictures.save(tmp_path / "a.png", picture)
    np.testing.assert_array_equal(pictures.read(tmp_path / "a.png"), picture)


@pytest.mark.parametrize("kind", ["empty", "cut", "text", "folder", "pipe", "missing"])
def test_a_picture_that_is_not_whole_is_unreadable(tmp_path, kind):
    path = tmp_path / "a.png"
    pictures.save(path, np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8))
    content = path.read_bytes()
    path.unlink()
    match kind:
        case "empty" | "text" | "cut":
            path.write_bytes({"empty": b"", "text": b"no picture", "cut": content[: len(content) // 2]}[kind])
        case "folder":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
    with pytest.raises(pictures.UnreadableError):
        pictures.read(path)
