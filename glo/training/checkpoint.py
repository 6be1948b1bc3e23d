"""Saves and restores everything that training needs to go on, under one step number.

model-<step>.index and .data-* are TensorFlow's own format (named arrays and no code, nothing is unpickled),
model-<step>.json is the manifest, and `checkpoint` names the newest for TensorFlow's tools.
"""

import os
import shutil
import threading
from pathlib import Path
from typing import Any

import tensorflow as tf

from glo.model.codes import BLOCK
from glo.model.glo_model import GloModel
from glo.runtime import device, files, paths
from glo.runtime.errors import UserError
from glo.runtime.log import logger
from glo.settings import TrainSettings, fields
from glo.training import manifest
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

    The files are complete on disk under another name before the first is moved into place, and the manifest, without
    which none of them counts, comes last.
    """
    prefix = paths.model(run, step)
    temporary = run / f"{files.TEMPORARY}{prefix.name}"
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
        for part in sorted(temporary.iterdir()):
            files.sync(part)
            sums[part.name] = manifest.checksum(part)
        for name in sums:
            os.replace(temporary / name, run / name)
        files.sync(run)
        temporary.rmdir()
    except (OSError, tf.errors.OpError) as error:
        shutil.rmtree(temporary, ignore_errors=True)
        if isinstance(error, tf.errors.OpError):  # "{{function ...}} path; No space left on device [Op:SaveV2]"
            error = OSError(error.message.split("; ")[-1].split(" [Op:")[0])
        raise files.cannot_write(prefix, error) from error
    manifest.write(prefix, Manifest(step, fields.stored(settings), data, sums, numerics=device.numerics()))
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
        reader = tf.train.load_checkpoint(str(prefix))
        shapes = reader.get_variable_to_shape_map()
        if partial:
            for what, start in RESTARTABLE.items():
                ours, theirs = ({name for name in names if name.startswith(start)} for names in (named, shapes))
                if ours != theirs:
                    logger.info("%s does not fit these settings and starts afresh", what)
                    named = {name: variable for name, variable in named.items() if name not in ours}
                    shapes = {name: shape for name, shape in shapes.items() if name not in theirs}
        if shapes != {name: variable.shape.as_list() for name, variable in named.items()}:
            odd = sorted(shapes.keys() ^ named.keys()) or sorted(
                n for n in shapes if shapes[n] != named[n].shape.as_list()
            )
            raise ValueError(f"{odd[0]} differs")
        for name, variable in named.items():
            _read(prefix, name, variable)
    except (tf.errors.OpError, ValueError, TypeError) as error:
        reason = str(error).splitlines()[0][:200]
        raise UserError(f"{prefix} does not fit the model that its settings describe ({reason})") from None
    if model.average and not any(name.startswith("average/") for name in named):
        for slow, fast in zip(model.average.variables, model.generator.variables, strict=True):
            slow.assign(fast)


def _read(prefix: Path, name: str, variable: tf.Variable) -> None:
    """Assign what a checkpoint holds of a variable, in blocks of rows: a second code table may not fit in memory."""
    shape = variable.shape.as_list()
    n = shape[0] if shape else 1
    for start in range(0, n, BLOCK):
        count = min(BLOCK, n - start)
        part = "" if count == n else f"{' '.join(map(str, shape))} {start},{count}{':-' * (len(shape) - 1)}"
        (values,) = tf.raw_ops.RestoreV2(
            prefix=str(prefix), tensor_names=[name], shape_and_slices=[part], dtypes=[variable.dtype]
        )
        if count == n:
            variable.assign(values)
        else:
            variable[start : start + count].assign(values)


def sweep(run: Path) -> None:
    """Remove what an interrupted save left: temporary names, and parts of a checkpoint without a manifest."""
    for path in run.glob(f"{files.TEMPORARY}*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    for index in run.glob("model-*.index"):
        prefix = index.with_suffix("")
        if not paths.manifest(prefix).exists():
            _remove(prefix)


def _remove(prefix: Path) -> None:
    # The manifest first: from then on the checkpoint does not count, whatever happens to the rest.
    paths.manifest(prefix).unlink(missing_ok=True)
    for part in prefix.parent.glob(f"{prefix.name}.*"):
        part.unlink()
