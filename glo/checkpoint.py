"""Saves and restores everything that training needs to go on, under one step number.

model-<step>.index and .data-* are TensorFlow's own format (no code in them, nothing is unpickled), model-<step>.json is
the manifest, and `checkpoint` names the newest for TensorFlow's tools.
"""

import os
import shutil
from pathlib import Path
from typing import Any

import tensorflow as tf

from glo import config, files, manifest, paths
from glo.errors import UserError
from glo.manifest import Manifest
from glo.settings import TrainSettings
from glo.step import Model


def save(model: Model, run: Path, settings: TrainSettings, data: dict, keep: int) -> Path:
    """Write a checkpoint of the model's step and return its prefix; then drop all but the `keep` newest.

    The files are complete on disk under another name before the first is moved into place, and the manifest, without
    which none of them counts, comes last. data: as `manifest.describe` gives it.
    """
    step = int(model.step)
    prefix = paths.model(run, step)
    temporary = run / f"{files.TEMPORARY}{prefix.name}"
    try:
        sweep(run)
        temporary.mkdir()
        _named(model).write(str(temporary / prefix.name))
        sums = {}
        for part in sorted(temporary.iterdir()):
            files.sync(part)
            sums[part.name] = manifest.checksum(part)
        for name in sums:
            os.replace(temporary / name, run / name)
        files.sync(run)
    except (OSError, tf.errors.OpError) as error:
        shutil.rmtree(temporary, ignore_errors=True)
        if isinstance(error, tf.errors.OpError):  # "{{function ...}} path; No space left on device [Op:SaveV2]"
            error = OSError(error.message.split("; ")[-1].split(" [Op:")[0])
        raise files.cannot_write(prefix, error) from error
    temporary.rmdir()
    manifest.write(prefix, Manifest(step, config.stored(settings), data, sums))
    files.write_text(run / "checkpoint", f'model_checkpoint_path: "{prefix.name}"\n')
    for old in paths.steps(run)[:-keep]:
        _remove(paths.model(run, old))
    return prefix


def restore(model: Model, prefix: Path) -> None:
    """Read a checkpoint into a model of the same settings: every variable, nothing missing, nothing left over."""
    try:
        status = _named(model).read(str(prefix))
        status.assert_existing_objects_matched()
        status.assert_consumed()
    except (tf.errors.OpError, ValueError, AssertionError) as error:
        reason = str(error).splitlines()[0][:200]
        raise UserError(f"{prefix} does not fit the model that its settings describe ({reason})") from None


def sweep(run: Path) -> None:
    """Remove what an interrupted save left: temporary names, and parts of a checkpoint without a manifest."""
    for path in run.glob(f"{files.TEMPORARY}*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    for index in run.glob("model-*.index"):
        prefix = index.with_suffix("")
        if not paths.manifest(prefix).exists():
            _remove(prefix)


def _named(model: Model) -> tf.train.Checkpoint:
    """All variables under names of our own, such as generator/up0/kernel: Keras' may change with its version."""
    tree: dict[str, Any] = {"step": model.step, "table": {v.name.split(":")[0]: v for v in model.table.variables}}
    for part in (model.generator, model.optimizer):
        for variable in part.variables:
            *folders, name = ("generator" if part is model.generator else "optimizer", *variable.path.split("/"))
            branch = tree
            for folder in folders:
                branch = branch.setdefault(folder, {})
            branch[name] = variable.value
    return tf.train.Checkpoint(**tree)


def _remove(prefix: Path) -> None:
    # The manifest first: from then on the checkpoint does not count, whatever happens to the rest.
    paths.manifest(prefix).unlink(missing_ok=True)
    for part in prefix.parent.glob(f"{prefix.name}.*"):
        part.unlink()
