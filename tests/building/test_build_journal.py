"""Builds that are interrupted, and go on."""

import json
import os
import signal
import subprocess
import sys

import h5py
import numpy as np
import pytest

from glo.building.build import build
from glo.data.block import Block
from glo.runtime.errors import UserError
from glo.settings import BuildSettings
from tests.support import ROOT, samples

N, PIECE = 40, 6
IMAGES, _ = samples(N, (6, 5, 3))
LABELS = np.arange(N, dtype=np.int32) % 3


class Source:
    """Images with an unreadable item before every fifth one; it breaks off once as many items are used up as told."""

    def __init__(self, end=None, error=KeyboardInterrupt):
        self.end, self.error, self.asked = end, error, []

    def __call__(self, skip):
        self.asked.append(skip)
        items = [row for i in range(N) for row in ((None, i) if i % 5 == 0 else (i,))]
        for start in range(skip, len(items), PIECE):
            if self.end is not None and start >= self.end:
                raise self.error
            piece = items[start : start + PIECE]
            rows = [row for row in piece if row is not None]
            yield Block(IMAGES[rows], labels=LABELS[rows], ids=[f"image {row}" for row in rows], taken=len(piece))


def settings(**changes):
    return BuildSettings(**{"dimension": 5, "seed": 3, **changes})


def make(folder, source, **changes):
    build(folder, "CATS", "cats", source, settings(**changes))


def content(folder):
    with h5py.File(folder / "data.hdf5") as file:
        return {name: node[:].tobytes() for name, node in file.items()}, {k: str(v) for k, v in file.attrs.items()}


def left(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device"), UserError("broken")])
def test_a_build_goes_on_where_it_broke_off(tmp_path, error):
    make(tmp_path / "whole", Source())
    first, second = Source(end=2 * PIECE, error=error), Source(end=5 * PIECE, error=error)
    for source, resume in ((first, False), (second, True)):
        with pytest.raises((KeyboardInterrupt, UserError)):
            make(tmp_path / "cut", source, resume=resume)
    last = Source()
    make(tmp_path / "cut", last, resume=True)
    assert (first.asked, second.asked, last.asked) == ([0], [2 * PIECE], [5 * PIECE])
    assert content(tmp_path / "cut") == content(tmp_path / "whole")
    assert left(tmp_path / "cut") == ["data.hdf5", "id.txt"]
    assert (tmp_path / "cut/id.txt").read_text() == "".join(f"image {i}\n" for i in range(N))


def test_codes_may_change_when_a_build_goes_on(tmp_path):
    with pytest.raises(UserError, match="more than PCA can give"):
        make(tmp_path, Source(), dimension=80)
    source = Source()
    make(tmp_path, source, resume=True)
    assert source.asked == [48]
    make(tmp_path / "whole", Source())
    assert content(tmp_path) == content(tmp_path / "whole")


def cut(folder, end=3 * PIECE):
    with pytest.raises(KeyboardInterrupt):
        make(folder, Source(end))
    return folder


def test_without_resume_a_build_starts_anew(tmp_path):
    cut(tmp_path)
    source = Source()
    make(tmp_path, source)
    assert source.asked == [0]
    assert left(tmp_path) == ["data.hdf5", "id.txt"]


def test_nothing_to_go_on_with(tmp_path):
    source = Source()
    make(tmp_path, source, resume=True)
    assert source.asked == [0]


def test_another_build_is_not_gone_on_with(tmp_path):
    cut(tmp_path)
    with pytest.raises(UserError, match=r"interrupted build .* has seed 3: drop --resume"):
        make(tmp_path, Source(), resume=True, seed=4)
    source = Source()
    make(tmp_path, source, resume=True)  # a refused one leaves it as it was
    assert source.asked == [3 * PIECE]


@pytest.mark.parametrize("name", [".partial-data.hdf5", ".partial.json", ".partial-id.txt"])
def test_damage_is_seen(tmp_path, name):
    path = cut(tmp_path) / name
    whole = path.read_bytes()
    refused = 0
    for damaged in (b"", whole[:-20], bytes(b ^ 1 for b in whole)):
        path.write_bytes(damaged)
        try:
            make(tmp_path, Source(), resume=True)
        except UserError as error:
            assert "drop --resume to start anew" in str(error)  # noqa: PT017
            refused += 1
        else:
            assert name != ".partial.json"
            break
    assert refused


def test_pixels_that_changed_are_seen(tmp_path):
    with h5py.File(cut(tmp_path) / ".partial-data.hdf5", "r+") as file:
        file["image"][3, 0, 0, 0] ^= 1
    with pytest.raises(UserError, match="does not hold what its journal says"):
        make(tmp_path, Source(), resume=True)


def test_rows_after_the_journal_are_written_again(tmp_path):
    with h5py.File(cut(tmp_path) / ".partial-data.hdf5", "r+") as file:
        rows = len(file["image"])
        file["image"].resize(rows + 4, axis=0)  # killed between the rows and the journal
        file["label"].resize(rows + 2, axis=0)
    assert json.loads((tmp_path / ".partial.json").read_text())["reached"]["rows"] == rows
    make(tmp_path, Source(), resume=True)
    make(tmp_path / "whole", Source())
    assert content(tmp_path) == content(tmp_path / "whole")


KILLED = """
import sys
from pathlib import Path
from tests.building.test_build_journal import Source, make
class Slow(Source):
    def __call__(self, skip):
        for number, block in enumerate(super().__call__(skip)):
            if number == 3:
                print("here", flush=True)
                sys.stdin.read()
            yield block
make(Path(sys.argv[1]), Slow())
"""


def test_kill_9_and_two_builds_at_once(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, tmp_path / "cut"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout.readline() == b"here\n"
    with pytest.raises(UserError, match=r"another build of .* is under way"):
        make(tmp_path / "cut", Source())
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    source = Source()
    make(tmp_path / "cut", source, resume=True)
    assert source.asked == [3 * PIECE]
    make(tmp_path / "whole", Source())
    assert content(tmp_path / "cut") == content(tmp_path / "whole")
