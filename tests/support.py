"""Helpers of several tests: running the commands, checking their errors, and writing small datasets in both layouts."""

import contextlib
import importlib
import io
import json
import signal
import subprocess
import sys
import unittest.mock
import zlib
from pathlib import Path

import h5py
import numpy as np

from glo.runtime import device, errors

ROOT = Path(__file__).resolve().parent.parent


def run(script, *args, cwd, timeout=120, **options):
    """Run a command such as "download.py" as a process in the folder `cwd`; returns the CompletedProcess."""
    command = [sys.executable, str(ROOT / script), *map(str, args)]
    return subprocess.run(command, cwd=cwd, timeout=timeout, capture_output=True, text=True, **options)


def handles_signals(process):
    """Whether a running command, a `Popen` object, has installed its signal handlers, which it does first of all."""
    (caught,) = (line for line in Path(f"/proc/{process.pid}/status").read_text().splitlines() if "SigCgt" in line)
    return bool(int(caught.split()[1], 16) & 1 << (signal.SIGTERM - 1))


def assert_ok(result):
    """Assert that a command succeeded; returns its stderr, which contains the log."""
    assert result.returncode == 0, result.stderr
    return result.stderr


def assert_one_line_error(result, *fragments):
    """Assert exit code 2, and a last line 'error: ...' on stderr that contains every fragment; returns that line."""
    assert result.returncode == 2, f"exit code {result.returncode}: {result.stderr}"
    assert "Traceback" not in result.stderr
    lines = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, result.stderr
    assert result.stderr.splitlines()[-1] == lines[0], result.stderr
    for fragment in fragments:
        assert str(fragment) in lines[0], f"{fragment!r} is not in {lines[0]!r}"
    return lines[0]


def write_flat(folder, images, codes, *, name="data.hdf5", ids=None, attributes=(), **arrays):
    """Write a dataset in the layout with one array per field, independently of the toolkit; returns the file's path.

    arrays: further fields such as split and label. ids: lines of id.txt.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with h5py.File(folder / name, "w") as file:
        for key, values in {"image": images, "code": codes, **arrays}.items():
            file[key] = values
        file.attrs.update(attributes)
    if ids is not None:
        write_ids(folder, ids)
    return folder / name


def write_grouped(folder, images, codes, ids, *, name="data.hy"):
    """Write a dataset in the older layout, a group per id with image and code, and id.txt; returns the file's path."""
    folder.mkdir(parents=True, exist_ok=True)
    with h5py.File(folder / name, "w") as file:
        for key, image, code in zip(ids, images, codes, strict=True):
            group = file.create_group(key)
            group["image"], group["code"] = image, code
    write_ids(folder, ids)
    return folder / name


def update_checksums(path, *names):
    """Make the checksums of arrays agree with their values, as if the toolkit had written these."""
    with h5py.File(path, "a") as file:
        for node in map(file.get, names):
            values, rows = node[:], int(node.attrs["crc32_rows"])
            blocks = [values[start : start + rows].tobytes() for start in range(0, len(values), rows)]
            node.attrs["crc32"] = np.array([zlib.crc32(block) for block in blocks], np.uint32)


def attributes_of(file):
    """The file attributes of a dataset. The toolkit reads texts from `texts`, where they must be the same."""
    attributes = dict(file.attrs)
    texts = json.loads(attributes.pop("texts").tobytes())
    for name, value in texts.items():
        np.testing.assert_array_equal(attributes[name], value)
    assert texts.keys() == {name for name, value in attributes.items() if np.asarray(value).dtype.kind in "OU"}
    return attributes


def overwrite(path, name, row, *, zeros):
    """Overwrite the chunk of an array that holds a row by zeros, or flip its first bit."""
    with h5py.File(path) as file:
        node = file[name]
        first = (row // node.chunks[0] * node.chunks[0], *[0] * (node.ndim - 1))
        chunk = node.id.get_chunk_info_by_coord(first)
    content = bytearray(path.read_bytes())
    if zeros:
        content[chunk.byte_offset : chunk.byte_offset + chunk.size] = bytes(chunk.size)
    else:
        content[chunk.byte_offset] ^= 1
    path.write_bytes(content)


def write_ids(folder, ids):
    """Write id.txt with one id per line."""
    (folder / "id.txt").write_text("".join(f"{name}\n" for name in ids), encoding="utf-8")


def load(folder, name, **settings):
    """Read the dataset `name` in a data folder as trainer.py does."""
    from glo.data.dataset import load_dataset
    from glo.settings import TrainSettings

    return load_dataset(TrainSettings(data_dir=str(folder), dataset=name, **settings))


def samples(n=12, shape=(5, 4, 3), dimension=3, seed=0):
    """Generate random images uint8 [n, *shape] and codes float32 [n, dimension] in the unit ball."""
    random = np.random.default_rng(seed)
    codes = random.uniform(-1, 1, (n, dimension)).astype(np.float32) / dimension
    return random.integers(0, 256, (n, *shape), np.uint8), codes


@contextlib.contextmanager
def brief():
    """Context in which training neither fits held-out images nor renders plots, which take long.

    The files of plots are written all the same.
    """
    device.load_tensorflow()
    with (
        unittest.mock.patch("glo.training.progress.HELD_OUT", 0),
        unittest.mock.patch("matplotlib.figure.Figure.savefig", lambda self, file, **_: file.write(b"a plot")),
    ):
        yield


def call(script, *args, in_full=False):
    """Run main() of a command in this process, which saves loading TensorFlow again; returns a CompletedProcess.

    in_full: training does what `brief` leaves out, as it does in processes.
    """
    out, err = io.StringIO(), io.StringIO()
    module = importlib.import_module(script.removesuffix(".py"))
    context = brief() if script == "trainer.py" and not in_full else contextlib.nullcontext()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), context:
        code = errors.run(lambda: module.main([str(arg) for arg in args]))
    return subprocess.CompletedProcess([script, *args], code, out.getvalue(), err.getvalue())
