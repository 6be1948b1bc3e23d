"""Saves and restores everything that training needs to go on, under one step number.

model-<step>.index and .data-* are TensorFlow's own format (named arrays and no code, nothing is unpickled), which
`bundle` reads. model-<step>.json is the manifest, and `checkpoint` names the newest for TensorFlow's tools.
"""

import os
import shutil
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import tensorflow as tf

from glo.model.codes import BLOCK
from glo.model.glo_model import GloModel
from glo.runtime import device, files, paths
from glo.runtime.errors import UserError
from glo.runtime.log import logger
from glo.settings import TrainSettings, fields
from glo.training import bundle, manifest
from glo.training.manifest import Manifest

# What a new run can start without, by the first letters of its names in a checkpoint.
RESTARTABLE = {
    "the state of the generator's optimizer": "optimizer/",
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
    return named


class Saver:
    """Saves a model in the background: training waits for the copy in memory, not for the disk.

    One save is under way at a time. Call `wait` before the process ends.
    """

    def __init__(self, run: Path, settings: TrainSettings, data: dict[str, Any]):
        """data: as `manifest.describe` gives it."""
        self.run, self.settings, self.data = run, settings, data
        self.saved: Path | None = None  # the newest complete one
        self._thread: threading.Thread | None = None
        self._error: UserError | None = None
        sweep(run)

    def save(self, model: GloModel) -> None:
        """Copy the model now and write it in the background, once the save before has ended.

        Raises `files.WriteError` if that one failed; the new one is under way all the same.
        """
        try:
            self.wait()
        finally:
            # Reading a variable gives a tensor that later updates of the variable leave alone.
            values = {name: variable.read_value() for name, variable in variables(model).items()}
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
            self.saved = write(self.run, step, values, self.settings, self.data)
        except UserError as error:
            self._error = error


def write(run: Path, step: int, values: dict[str, tf.Tensor], settings: TrainSettings, data: dict[str, Any]) -> Path:
    """Write a checkpoint, drop all but the newest `settings.keep`, and return its prefix.

    All files are complete on disk in a temporary folder before the first is moved into place. The manifest, without
    which none of them counts, is moved last.
    Raises `files.WriteError` if the system refuses.
    """
    prefix = paths.model(run, step)
    temporary = run / f"{files.TEMPORARY}{prefix.name}"
    parts = (bundle.data_file(prefix), bundle.index_file(prefix))
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        with tf.device("cpu"):
            tf.raw_ops.SaveV2(
                prefix=str(temporary / prefix.name),
                tensor_names=list(values),
                shape_and_slices=[""] * len(values),
                tensors=list(values.values()),
            )
        sums = {}
        for part in parts:
            files.sync(temporary / part.name)
            sums[part.name] = manifest.checksum(temporary / part.name)
        content = Manifest(step, fields.stored(settings), data, sums, numerics=device.numerics())
        manifest.write(temporary / prefix.name, content)
        for part in (*parts, paths.manifest(prefix)):
            os.replace(temporary / part.name, part)
        files.sync(run)
        temporary.rmdir()
    except (OSError, tf.errors.OpError, files.WriteError) as error:
        with suppress(OSError):
            _undo(temporary)
        if isinstance(error, files.WriteError):
            raise
        reason = files.system_error(error.message) if isinstance(error, tf.errors.OpError) else error
        raise files.cannot_write(prefix, reason) from error
    files.write_text(run / "checkpoint", f'model_checkpoint_path: "{prefix.name}"\n')
    for old in paths.steps(run)[: -settings.keep]:
        _remove(paths.model(run, old))
    return prefix


def restore(model: GloModel, prefix: Path, partial: bool = False) -> None:
    """Read a checkpoint into a model of the same architecture: every variable, nothing missing, nothing left over.

    partial: what `RESTARTABLE` names may be missing or left over, since other optimizers remember other things. It
    then starts afresh, with a log line, and a missing average of the weights starts at the weights.
    Raises `UserError` if the checkpoint does not fit.
    """
    named = variables(model)
    try:
        entries = bundle.read(prefix)
        if partial:
            for part, start in RESTARTABLE.items():
                ours, theirs = ({name for name in names if name.startswith(start)} for names in (named, entries))
                if ours != theirs:
                    logger.info("%s does not fit these settings and starts afresh", part)
                    named = {name: variable for name, variable in named.items() if name not in ours}
                    entries = {name: entry for name, entry in entries.items() if name not in theirs}
        for name in sorted(entries.keys() | named.keys()):
            if name not in entries or name not in named or not _fits(entries[name], named[name]):
                raise ValueError(f"{name!a} differs")
        for name, variable in named.items():
            _assign(variable, entries[name])
    except (OSError, ValueError) as error:
        raise UserError(f"{prefix} does not fit the model that its settings describe ({error})") from None
    if model.average and not any(name.startswith("average/") for name in named):
        for slow, fast in zip(model.average.variables, model.generator.variables, strict=True):
            slow.assign(fast)


def _fits(entry: bundle.Entry, variable: tf.Variable) -> bool:
    dtype = tf.as_dtype(variable.dtype).as_numpy_dtype
    return (entry.dtype, entry.shape) == (dtype, tuple(variable.shape))


def _assign(variable: tf.Variable, entry: bundle.Entry) -> None:
    """Assign the values of a checkpoint, in blocks of rows: a second code table may not fit in memory."""
    n = entry.shape[0] if entry.shape else 1
    if n <= BLOCK:
        variable.assign(entry.read())
        return
    for start in range(0, n, BLOCK):
        count = min(BLOCK, n - start)
        variable[start : start + count].assign(entry.read(start, count))


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
        for part in (bundle.data_file(prefix), bundle.index_file(prefix)):
            if not (temporary / part.name).exists():
                part.unlink(missing_ok=True)
    shutil.rmtree(temporary)


def _remove(prefix: Path) -> None:
    try:
        # The manifest first: from then on the checkpoint does not count, whatever happens to the rest.
        for part in (paths.manifest(prefix), bundle.index_file(prefix), bundle.data_file(prefix)):
            part.unlink(missing_ok=True)
    except OSError as error:
        logger.warning("cannot remove the older checkpoint %s: %s", prefix, error.strerror)
