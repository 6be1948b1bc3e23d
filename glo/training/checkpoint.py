"""Saves and restores everything that training needs to go on, under one step number.

model-<step>.index and .data-* are TensorFlow's own format (named arrays and no code, nothing is unpickled), which
`bundle` reads. With several workers, each writes its rows of the code table to files of its own, in the same format.
model-<step>.json is the manifest, and `checkpoint` names the newest for TensorFlow's tools.
"""

import os
import re
import shutil
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from glo.model.codes import BLOCK
from glo.model.glo_model import GloModel
from glo.runtime import device, files, paths
from glo.runtime.errors import UserError
from glo.runtime.log import logger
from glo.settings import TrainSettings, fields
from glo.training import bundle, manifest, table
from glo.training.manifest import Manifest
from glo.workers.crew import ALONE, Crew

# What a new run can start without, by the first letters of its names in a checkpoint.
RESTARTABLE = {
    "the state of the generator's optimizer": "optimizer/",
    "the state of the companion's optimizer": "companion_optimizer/",
    "the average of the generator's weights": "average/",
    "the state of the codes' optimizer": ("table/first_moment", "table/second_moment", "table/visits"),
}


def variables(model: GloModel) -> dict[str, tf.Variable]:
    """All that a checkpoint holds, under names of our own such as generator/up0/kernel: Keras' may change."""
    named = {"step": model.step}
    named |= {f"table/{variable.name.split(':')[0]}": variable for variable in model.table.variables}
    if model.conditions is not None:
        named["conditions"] = model.conditions
    named |= {f"generator/{variable.path}": variable.value for variable in model.generator.variables}
    if model.average:
        named |= {f"average/{variable.path}": variable.value for variable in model.average.variables}
    named |= {f"optimizer/{variable.path}": variable.value for variable in model.optimizer.variables}
    if model.companion:
        named |= {f"companion/{variable.path}": variable.value for variable in model.companion.variables}
        optimizer = model.companion_optimizer
        named |= {f"companion_optimizer/{variable.path}": variable.value for variable in optimizer.variables}
    named |= {f"state/{name}": variable for name, variable in model.state.items()}
    return named


class Saver:
    """Saves a model in the background: training waits for the copy in memory, not for the disk.

    One save is under way at a time. All workers save at the same steps. Call `wait` before the process ends.
    """

    def __init__(self, run: Path, settings: TrainSettings, data: dict[str, Any], crew: Crew = ALONE):
        """data: as `manifest.describe` gives it."""
        self.run, self.settings, self.data, self.crew = run, settings, data, crew
        self.saved: Path | None = None  # the newest complete one
        self._thread: threading.Thread | None = None
        self._error: UserError | None = None
        if crew.first:
            sweep(run)

    def save(self, model: GloModel) -> None:
        """Copy the model now and write it in the background, once the save before has ended.

        Raises `files.WriteError` if that one failed; the new one is under way all the same.
        """
        try:
            self.wait()
        finally:
            # Reading a variable gives a tensor that later updates of the variable leave alone.
            named = variables(model)
            if not self.crew.first:
                named = {name: variable for name, variable in named.items() if name.startswith(table.PREFIX)}
            values = {name: variable.read_value() for name, variable in named.items()}
            self._thread = threading.Thread(target=self._write, args=(int(model.step), values))
            self._thread.start()

    def wait(self) -> None:
        """Wait for the save under way, if there is one. Raises `files.WriteError` if it failed."""
        if self._thread:
            self._thread.join()
            self._thread = None
        error, self._error = self._error, None
        if error:
            raise error

    def _write(self, step: int, values: dict[str, tf.Tensor]) -> None:
        try:
            self.saved = write(self.run, step, values, self.settings, self.data, self.crew)
        except UserError as error:
            self._error = error


def write(
    run: Path,
    step: int,
    values: dict[str, tf.Tensor],
    settings: TrainSettings,
    data: dict[str, Any],
    crew: Crew = ALONE,
) -> Path:
    """Write a checkpoint, drop all but the newest `settings.keep`, and return its prefix.

    All files are complete on disk in a temporary folder before the first is moved into place. The manifest, without
    which none of them counts, is moved last. With several workers, all call this, and each writes what it has; the
    first one moves the files when all workers have written theirs.
    Raises `files.WriteError`, in all workers, if the system refuses.
    """
    prefix = paths.model(run, step)
    temporary = run / f"{files.TEMPORARY}{prefix.name}"
    try:
        if crew.first:
            _attempt(prefix, crew, lambda: _make_empty(temporary))
        else:
            _attempt(prefix, crew, dict)
        parts = _attempt(prefix, crew, lambda: _write_parts(temporary / prefix.name, values, crew))
        sums = {name: checksum for part in parts for name, checksum in part.items()}
        content = Manifest(step, fields.stored(settings), data, sums, numerics=device.numerics(), shards=crew.count)
        _attempt(prefix, crew, (lambda: _publish(temporary, prefix, content)) if crew.first else dict)
    except files.WriteError:
        if crew.first:
            with suppress(OSError):
                _undo(temporary)
        raise
    if crew.first:
        files.write_text(run / "checkpoint", f'model_checkpoint_path: "{prefix.name}"\n')
        for old in paths.steps(run)[: -settings.keep]:
            _remove(paths.model(run, old))
    return prefix


def _attempt(prefix: Path, crew: Crew, action: Callable[[], dict[str, str]]) -> list[dict[str, str]]:
    """Do a part of a save and wait for all workers; returns what each of them has done.

    Raises `files.WriteError` if one of them failed.
    """
    error, done = None, {}
    try:
        done = action()
    except files.WriteError as failure:
        error = failure
    except (OSError, tf.errors.OpError) as failure:
        reason = files.system_error(failure.message) if isinstance(failure, tf.errors.OpError) else failure
        error = files.cannot_write(prefix, reason)
    reports = crew.exchange("save", {"done": done, "error": error and str(error)})
    if error:
        raise error
    for index, report in enumerate(reports):
        if report["error"]:
            raise files.WriteError(f"worker {index}: {report['error']}")
    return [report["done"] for report in reports]


def _make_empty(temporary: Path) -> dict[str, str]:
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    return {}


def _write_parts(prefix: Path, values: dict[str, tf.Tensor], crew: Crew) -> dict[str, str]:
    """Write the files of this worker; returns their checksums by name."""
    bundles = {prefix: values}
    if crew.count > 1:
        own = {name: value for name, value in values.items() if name.startswith(table.PREFIX)}
        bundles = {paths.shard(prefix, crew.index, crew.count): own}
        if crew.first:
            bundles[prefix] = {name: value for name, value in values.items() if name not in own}
    sums = {}
    for part, content in bundles.items():
        with tf.device("cpu"):
            tf.raw_ops.SaveV2(
                prefix=str(part),
                tensor_names=list(content),
                shape_and_slices=[""] * len(content),
                tensors=list(content.values()),
            )
        for file in bundle.files(part):
            files.sync(file)
            sums[file.name] = manifest.checksum(file)
    return sums


def _publish(temporary: Path, prefix: Path, content: Manifest) -> dict[str, str]:
    """Move the files of a checkpoint into place."""
    manifest.write(temporary / prefix.name, content)
    for name in (*content.files, paths.manifest(prefix).name):
        os.replace(temporary / name, prefix.with_name(name))
    files.sync(prefix.parent)
    temporary.rmdir()
    return {}


def restore(
    model: GloModel, prefix: Path, saved: Manifest, rows: np.ndarray | None = None, partial: bool = False
) -> None:
    """Read a checkpoint into a model of the same architecture: every variable, nothing missing, nothing left over.

    saved: its manifest. rows: int64 [m] ascending, the rows of the code table that the model holds; None: all rows.
    partial: what `RESTARTABLE` names may be missing or left over, since other optimizers remember other things. It
    then starts afresh, with a log line, and a missing average of the weights starts at the weights.
    Raises `UserError` if the checkpoint does not fit.
    """
    named = variables(model)
    try:
        entries = table.read(prefix, saved)
        if partial:
            for part, start in RESTARTABLE.items():
                ours, theirs = ({name for name in names if name.startswith(start)} for names in (named, entries))
                if ours != theirs:
                    logger.info("%s does not fit these settings and starts afresh", part)
                    named = {name: variable for name, variable in named.items() if name not in ours}
                    entries = {name: entry for name, entry in entries.items() if name not in theirs}
        for name in sorted(entries.keys() | named.keys()):
            if name not in entries or name not in named or not _fits(entries[name], named[name], rows):
                raise ValueError(f"{name!a} differs")
        for name, variable in named.items():
            _assign(variable, entries[name], rows)
    except (OSError, ValueError) as error:
        advice = "train the run again, or give another --checkpoint"
        raise UserError(f"{prefix} does not fit the model that its settings describe ({error}): {advice}") from None
    if model.average and not any(name.startswith("average/") for name in named):
        for slow, fast in zip(model.average.variables, model.generator.variables, strict=True):
            slow.assign(fast)


def _fits(entry: bundle.Entry | table.Table, variable: tf.Variable, rows: np.ndarray | None) -> bool:
    dtype, shape = tf.as_dtype(variable.dtype).as_numpy_dtype, entry.shape
    if isinstance(entry, table.Table) and rows is not None:
        shape = (len(rows), *shape[1:])
    return (entry.dtype, shape) == (dtype, tuple(variable.shape))


def _assign(variable: tf.Variable, entry: bundle.Entry | table.Table, rows: np.ndarray | None) -> None:
    """Assign the values of a checkpoint, in blocks of rows: a second code table may not fit in memory."""
    if isinstance(entry, bundle.Entry):
        variable.assign(entry.read())
        return
    n = variable.shape[0]
    for start in range(0, n, BLOCK):
        block = slice(start, min(start + BLOCK, n))
        variable[block].assign(entry.read(np.arange(block.start, block.stop) if rows is None else rows[block]))


def sweep(run: Path) -> None:
    """Remove what interrupted saves left: temporary files, and the files of a checkpoint without its manifest.

    Other files stay, such as a checkpoint of another tool, which has no manifest either.
    """
    for path in run.glob(f"{files.TEMPORARY}*"):
        try:
            if path.is_dir() and not path.is_symlink():
                _undo(path)
            else:
                path.unlink()
        except OSError as error:
            logger.warning("cannot remove %s, which an interrupted save left: %s", path, error.strerror)


def _undo(temporary: Path) -> None:
    """Remove the temporary folder of a save that was interrupted, and the files that it had moved into place."""
    prefix = temporary.with_name(temporary.name.removeprefix(files.TEMPORARY))
    if paths.manifest(temporary / prefix.name).exists():  # written before the first file is moved, and moved last
        for part in _parts(prefix):
            if not (temporary / part.name).exists():
                part.unlink(missing_ok=True)
    shutil.rmtree(temporary)


def _remove(prefix: Path) -> None:
    try:
        # The manifest first: from then on the checkpoint does not count, whatever happens to the rest.
        for part in (paths.manifest(prefix), *_parts(prefix)):
            part.unlink(missing_ok=True)
    except OSError as error:
        logger.warning("cannot remove the older checkpoint %s: %s", prefix, error.strerror)


def _parts(prefix: Path) -> list[Path]:
    """All files of a checkpoint that exist, but its manifest."""
    pattern = re.compile(re.escape(prefix.name) + r"(\.codes-\d{5}-of-\d{5})?\.(index|data-00000-of-00001)")
    return [path for path in prefix.parent.iterdir() if pattern.fullmatch(path.name)]
