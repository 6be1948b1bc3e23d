"""Builds that are interrupted and then resumed."""

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

N, BLOCK_ITEMS = 40, 6
IMAGES, _ = samples(N, (6, 5, 3))
LABELS = np.arange(N, dtype=np.int32) % 3


class Source:
    """Images with an unreadable item before every fifth one. It raises `error` once `end` items are consumed.

    skips: the number of items to skip in each call.
    """

    def __init__(self, end=None, error=KeyboardInterrupt):
        self.end, self.error, self.skips = end, error, []

    def __call__(self, skip):
        self.skips.append(skip)
        all_items = [row for i in range(N) for row in ((None, i) if i % 5 == 0 else (i,))]
        for start in range(skip, len(all_items), BLOCK_ITEMS):
            if self.end is not None and start >= self.end:
                raise self.error
            items = all_items[start : start + BLOCK_ITEMS]
            rows = [row for row in items if row is not None]
            ids = [f"image {row}" for row in rows]
            yield Block(IMAGES[rows], labels=LABELS[rows], ids=ids, items_consumed=len(items))


def settings(**changes):
    return BuildSettings(**{"dimension": 5, "seed": 3, **changes})


def make(folder, source, **changes):
    build(folder, "CATS", "cats", source, settings(**changes))


def content(folder):
    with h5py.File(folder / "data.hdf5") as file:
        return {name: node[:].tobytes() for name, node in file.items()}, {k: str(v) for k, v in file.attrs.items()}


def file_names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device"), UserError("broken")])
def test_a_build_is_resumed_where_it_was_interrupted(tmp_path, error):
    make(tmp_path / "whole", Source())
    first, second = Source(end=2 * BLOCK_ITEMS, error=error), Source(end=5 * BLOCK_ITEMS, error=error)
    for source, resume in ((first, False), (second, True)):
        with pytest.raises((KeyboardInterrupt, UserError)):
            make(tmp_path / "cut", source, resume=resume)
    last = Source()
    make(tmp_path / "cut", last, resume=True)
    assert (first.skips, second.skips, last.skips) == ([0], [2 * BLOCK_ITEMS], [5 * BLOCK_ITEMS])
    assert content(tmp_path / "cut") == content(tmp_path / "whole")
    assert file_names(tmp_path / "cut") == ["data.hdf5", "id.txt"]
    assert (tmp_path / "cut/id.txt").read_text() == "".join(f"image {i}\n" for i in range(N))


def test_settings_of_the_codes_may_change_when_a_build_is_resumed(tmp_path):
    with pytest.raises(UserError, match="more than PCA can give"):
        make(tmp_path, Source(), dimension=80)
    source = Source()
    make(tmp_path, source, resume=True)
    assert source.skips == [48]
    make(tmp_path / "whole", Source())
    assert content(tmp_path) == content(tmp_path / "whole")


def interrupt_build(folder, end=3 * BLOCK_ITEMS):
    with pytest.raises(KeyboardInterrupt):
        make(folder, Source(end))
    return folder


def test_without_resume_a_build_starts_from_the_beginning(tmp_path):
    interrupt_build(tmp_path)
    source = Source()
    make(tmp_path, source)
    assert source.skips == [0]
    assert file_names(tmp_path) == ["data.hdf5", "id.txt"]


def test_resume_without_an_interrupted_build(tmp_path):
    source = Source()
    make(tmp_path, source, resume=True)
    assert source.skips == [0]


def test_a_build_with_other_settings_is_not_resumed(tmp_path):
    interrupt_build(tmp_path)
    with pytest.raises(UserError, match=r"interrupted build .* has seed 3: drop --resume"):
        make(tmp_path, Source(), resume=True, seed=4)
    source = Source()
    make(tmp_path, source, resume=True)  # the refused build changed nothing
    assert source.skips == [3 * BLOCK_ITEMS]


@pytest.mark.parametrize("name", [".partial-data.hdf5", ".partial.json", ".partial-id.txt"])
def test_damaged_partial_files_are_refused(tmp_path, name):
    path = interrupt_build(tmp_path) / name
    whole = path.read_bytes()
    refused = 0
    for damaged in (b"", whole[:-20], bytes(b ^ 1 for b in whole)):
        path.write_bytes(damaged)
        try:
            make(tmp_path, Source(), resume=True)
        except UserError as error:
            assert "drop --resume to start from the beginning" in str(error)  # noqa: PT017
            refused += 1
        else:
            assert name != ".partial.json"
            break
    assert refused


def test_changed_pixels_are_refused(tmp_path):
    with h5py.File(interrupt_build(tmp_path) / ".partial-data.hdf5", "r+") as file:
        file["image"][3, 0, 0, 0] ^= 1
    with pytest.raises(UserError, match="do not match the journal"):
        make(tmp_path, Source(), resume=True)


def test_rows_that_the_journal_does_not_record_are_written_again(tmp_path):
    with h5py.File(interrupt_build(tmp_path) / ".partial-data.hdf5", "r+") as file:
        rows = len(file["image"])
        file["image"].resize(rows + 4, axis=0)  # as if killed between writing rows and recording them
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
    with pytest.raises(UserError, match=r"another process is building .*: wait"):
        make(tmp_path / "cut", Source())
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    source = Source()
    make(tmp_path / "cut", source, resume=True)
    assert source.skips == [3 * BLOCK_ITEMS]
    make(tmp_path / "whole", Source())
    assert content(tmp_path / "cut") == content(tmp_path / "whole")
