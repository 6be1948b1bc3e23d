"""Training in trouble: writes that fail one after the other, numbers that overflow, tiny images, things in the way.

Whatever happens, the command ends with exit code 0, or 2 after one line, and the newest checkpoint is whole and can be
continued. GLO_FAULTS multiplies the number of cases; they are drawn with fixed seeds.
"""

import contextlib
import dataclasses
import errno
import logging
import os
import resource
import signal
import sys
import typing
import warnings

import imageio.v3 as imageio
import numpy as np
import pytest
from PIL import Image

from glo.runtime import files, log, paths
from glo.settings import TrainSettings
from glo.training import checkpoint, loop, manifest, saves
from tests.runs import SAME, assert_same, newest
from tests.support import assert_ok, assert_one_line_error, call, samples, write_flat

pytestmark = pytest.mark.slow

SCALE = int(os.environ.get("GLO_FAULTS", "1"))
TINY = ["--precision", "float32", "--channels", 1, "--batch_size", 8, "--log_every", 1, "--save_every", 2, "--keep", 2]
STEPS = 5


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with datasets/TOY, 16 training and 4 held-out images of 4x4, and a finished run of `STEPS` steps."""
    folder = tmp_path_factory.mktemp("runs")
    write(folder, "TOY", 16, (4, 4, 1), 3, held_out=4)
    assert_ok(train(folder, "--dataset", "TOY", "--prefix", "whole", "--max_steps", STEPS))
    return folder


def write(folder, name, n, shape, dimension, held_out=0):
    images, codes = samples(n + held_out, shape, dimension)
    split = (np.arange(n + held_out) >= n).astype(np.uint8)
    write_flat(folder / "datasets" / name, images, codes, split=split)


def train(folder, *args, in_full=False):
    """Run trainer.py in this process; a warning or a traceback of a thread fails the test."""
    places = ["--data_dir", folder / "datasets", "--train_dir", folder / "train_dir"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = call("trainer.py", *SAME, *TINY, *places, *args, in_full=in_full)
    for handler in log.logger.handlers:  # log.txt, which a command closes when its process ends
        if isinstance(handler, logging.FileHandler):
            with contextlib.suppress(OSError):
                handler.close()
    return result


def assert_in_order(result):
    """Assert exit code 0, or 2 with one line."""
    if result.returncode != 0:
        assert_one_line_error(result)
    assert "Traceback" not in result.stderr


def assert_continues(folder, prefix, end, leftovers=False):
    """Assert that the newest checkpoint of a run, if there is one, is whole, and that the run continues exactly.

    leftovers: whether temporary files may be left, which the next start would remove.
    """
    run = newest(folder, prefix)
    steps = paths.steps(run)
    for step in steps:
        manifest.read(paths.model(run, step))
    if steps and steps[-1] < end:
        assert_ok(train(folder, "--checkpoint", run, "--max_steps", end))
        steps = [end]
    if steps:
        assert_same(newest(folder, "whole") / f"model-{end}", run / f"model-{end}")
    assert leftovers or not list(run.rglob(".tmp-*"))


class Gate:
    """Lets the system refuse the k-th change of a folder that Python asks for: open to write, mkdir, rename, remove."""

    REMOVALS = ("os.remove", "os.rmdir")
    EVENTS = ("os.mkdir", "os.rename", *REMOVALS)

    def __init__(self):
        self.folder, self.left, self.refused = None, 0, []
        sys.addaudithook(self._hook)  # cannot be removed

    @contextlib.contextmanager
    def refusing(self, folder, k, count):
        """The k-th change fails, and of the `count - 1` after it those that are no removals."""
        self.folder, self.changes, self.first, self.last, self.refused = str(folder), 0, k, k + count - 1, []
        try:
            yield
        finally:
            self.folder = None

    def _hook(self, event, args):
        if self.folder is None or not (event in self.EVENTS or (event == "open" and self._writes(args))):
            return
        if self.folder in str(args[0]):
            self.changes += 1
            if self.changes == self.first or (self.first < self.changes <= self.last and event not in self.REMOVALS):
                self.refused.append(f"{event} {args[0]}")
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    @staticmethod
    def _writes(args):
        return isinstance(args[0], str | os.PathLike) and bool(args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


@pytest.fixture(scope="module")
def gate():
    return Gate()


def cases(count, limit, seed):
    """`count` times GLO_FAULTS different numbers from 1 to `limit`."""
    return sorted(np.random.default_rng(seed).permutation(np.arange(1, limit + 1))[: count * SCALE].tolist())


@pytest.mark.parametrize("k", cases(8, 70, seed=0))
def test_any_change_of_the_run_folder_may_fail(folder, gate, k):
    """One change fails with even k, and with odd k all but removals after it too, as on a disk that stays full."""
    prefix = f"gate{k}"
    with gate.refusing(folder / "train_dir", k, 1 if k % 2 == 0 else 10**6):
        result = train(folder, "--dataset", "TOY", "--prefix", prefix, "--dump_result", "--max_steps", STEPS)
    assert gate.refused
    assert_in_order(result)
    assert result.stderr.count("Training continues") <= 1
    if list((folder / "train_dir").glob(f"{prefix}-*")):
        assert_continues(folder, prefix, STEPS, leftovers=gate.refused[0].startswith(gate.REMOVALS))


@pytest.mark.parametrize("size", [1, 100, 400, 1500, 4000, 12000, 40000][:: 1 if SCALE > 1 else 2])
def test_no_file_may_grow_beyond_a_size(folder, size):
    """RLIMIT_FSIZE lets writes fail in the system itself, also those of TensorFlow, and cuts files off there."""
    prefix = f"size{size}"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
        result = train(folder, "--dataset", "TOY", "--prefix", prefix, "--dump_result", "--max_steps", STEPS)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert_in_order(result)
    assert result.stderr.count("Training continues") <= 1
    assert_continues(folder, prefix, STEPS)


def test_the_last_batch_is_written_even_if_a_checkpoint_is_not(folder, monkeypatch):
    write = checkpoint.write

    def fails_at_step_2(run, step, *args):
        if step == 2:
            raise files.WriteError("no space")
        return write(run, step, *args)

    monkeypatch.setattr(checkpoint, "write", fails_at_step_2)
    log = assert_ok(train(folder, "--dataset", "TOY", "--prefix", "dump", "--dump_result", "--max_steps", STEPS))
    run = newest(folder, "dump")
    assert log.count("no space. Training continues") == 1
    assert paths.steps(run) == [4, STEPS]
    assert sorted(path.name for path in run.glob("dump_result_*")) == [f"dump_result_{k}.hdf5" for k in (2, 4, STEPS)]


class Interrupted:
    """In place of `glo.runtime.interrupt.Interrupt`: a signal that has arrived when a test says so."""

    received = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


@pytest.mark.parametrize("fails", [False, True])
def test_a_signal_at_a_step_that_is_saved_saves_it_once(folder, monkeypatch, fails):
    """If that save fails, it is tried again."""
    interrupt, written = Interrupted(), []
    monkeypatch.setattr(loop, "Interrupt", lambda _: interrupt)
    observe, write = saves.Saves.observe, checkpoint.write

    def signal_arrives(self, step, rows):
        observe(self, step, rows)
        interrupt.received = signal.SIGTERM

    def write_or_fail(run, step, *args):
        written.append(step)
        if fails and len(written) == 1:
            raise files.WriteError("no space")
        return write(run, step, *args)

    monkeypatch.setattr(saves.Saves, "observe", signal_arrives)
    monkeypatch.setattr(checkpoint, "write", write_or_fail)
    prefix = f"once{fails}"
    result = train(folder, "--dataset", "TOY", "--prefix", prefix, "--max_steps", STEPS)
    assert result.returncode == 128 + signal.SIGTERM
    assert written == ([2, 2] if fails else [2])
    monkeypatch.undo()
    assert_continues(folder, prefix, STEPS)


def float_settings():
    hints = typing.get_type_hints(TrainSettings)
    fields = dataclasses.fields(TrainSettings)
    return [field.name for field in fields if float in (hints[field.name], *typing.get_args(hints[field.name]))]


@pytest.mark.parametrize("name", float_settings())
def test_huge_numbers(folder, name):
    """The largest numbers are refused, or training ends with a line, or it works."""
    assert_one_line_error(train(folder, "--dataset", "TOY", f"--{name}", "1e39", "--max_steps", 1), f"--{name}")
    prefix = f"huge-{name}"
    for value in ("1e38", "1e20")[: 1 if SCALE == 1 else 2]:
        more = ["--projection", "none", "--ema", 0.5] if name != "ema" else []
        args = ["--dataset", "TOY", f"--{name}", value, *more, "--prefix", prefix, "--max_steps", 4]
        assert_in_order(train(folder, *args))
    for path in (folder / "train_dir").glob(f"{prefix}-*/model-*.json"):
        manifest.read(path.with_suffix(""))


SHAPES = [(1, (8, 8, 1), 2), (1, (1, 1, 1), 1), (2, (2, 2, 3), 1), (3, (300, 2, 1), 2), (3, (2, 40, 3), 1)]


@pytest.mark.parametrize(("n", "shape", "dimension", "held_out"), [*((*case, 1) for case in SHAPES), (*SHAPES[0], 0)])
def test_few_and_tiny_images(folder, n, shape, dimension, held_out):
    """More than ten epochs: the caption of a grid becomes wider."""
    name = f"FEW{n}-{shape[0]}-{held_out}"
    write(folder, name, n, shape, dimension, held_out)
    assert_ok(train(folder, "--dataset", name, "--prefix", name, "--max_steps", 12, in_full=True))
    run = newest(folder, name)
    frames = imageio.imread(paths.animation(run), index=None)
    assert len(frames) >= 1
    assert len(list(paths.grids(run).iterdir())) == 12


@pytest.mark.parametrize("name", ["log.txt", "metrics.jsonl", "config.yaml", "reconstructions"])
def test_things_in_the_way_are_reported_before_training_starts(folder, name):
    prefix = f"way-{name}"
    assert_ok(train(folder, "--dataset", "TOY", "--prefix", prefix, "--max_steps", 1))
    run = newest(folder, prefix)
    if name == "reconstructions":
        for path in paths.grids(run).iterdir():
            path.unlink()
        paths.grids(run).rmdir()
        paths.grids(run).touch()
    else:
        (run / name).unlink()
        (run / name).mkdir()
    assert_one_line_error(train(folder, "--checkpoint", run, "--max_steps", STEPS), run / name)
    assert paths.steps(run) == [1]


def test_grids_that_cannot_be_read_are_skipped(folder):
    assert_ok(train(folder, "--dataset", "TOY", "--prefix", "grids", "--max_steps", 4))
    run = newest(folder, "grids")
    grids = paths.grids(run)
    (grids / "epoch-00001.png").write_bytes(b"")
    (grids / ".tmp-1-epoch-00002.png").write_bytes(b"\x89PNG")
    (grids / "notes.txt").write_text("mine")
    imageio.imwrite(grids / "epoch-00000.png", np.zeros((90, 300, 3), np.uint8))
    log = assert_ok(train(folder, "--checkpoint", run, "--max_steps", 6))
    assert log.count("training.gif lacks 1 grids that cannot be read") == 1
    with Image.open(paths.animation(run)) as animation:
        assert animation.n_frames == 3
    assert {path.name for path in grids.iterdir()} >= {"notes.txt", "epoch-00002.png"}
    assert not list(grids.glob(".tmp-*"))
