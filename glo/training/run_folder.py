"""The run folder while a run trains: locked, so that no other process trains there, and with the log in it."""

import importlib.metadata
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from glo.data.dataset import Dataset
from glo.runtime import files, lock, paths
from glo.runtime.errors import UserError
from glo.settings import TrainSettings, fields
from glo.training import manifest
from glo.training.resume import Plan
from glo.workers.crew import ALONE, Crew

# Settings that may differ between workers, because they concern one machine.
OWN_SETTINGS = ("data_dir", "train_dir", "device", "memory_limit")
PACKAGES = ("tensorflow", "keras", "numpy")  # that the bits of a run depend on


@contextmanager
def locked(run: Path) -> Iterator[None]:
    """Lock a run folder by its log.txt.

    Raises `UserError` if another process trains there, and `files.WriteError` if the folder cannot be written to.
    """
    files.require_writable(run)
    try:
        held = lock.acquire(paths.log(run))
    except lock.HeldError:
        raise UserError(f"another process is training in {run}: wait until it has ended") from None
    except OSError as error:
        raise files.cannot_write(paths.log(run), error) from None
    with held:
        files.require_writable(paths.grids(run))
        yield


@contextmanager
def resumed(settings: TrainSettings, crew: Crew = ALONE) -> Iterator[None]:
    """Lock the run folder that --checkpoint names, if it names one. Raises as `locked`.

    It is locked, by the first worker, before its newest checkpoint is looked up, which another process might replace.
    """
    run = Path(settings.checkpoint or "")
    if not crew.first or settings.checkpoint is None or settings.dry_run or not run.is_dir() or not paths.steps(run):
        yield
    else:
        with locked(run):
            yield


@contextmanager
def created(settings: TrainSettings, crew: Crew = ALONE) -> Iterator[Path]:
    """Create and lock the folder of a new run; other workers than the first one look for it. Raises as `locked`."""
    if crew.first:
        run = paths.new_run_folder(settings.train_dir, settings.prefix, settings.dataset, settings.learning_rate)
        with locked(run):
            crew.exchange("run folder", run.name)
            yield run
    else:
        run = Path(settings.train_dir, crew.exchange("run folder", None)[0])
        if not paths.log(run).is_file():
            raise UserError(f"{run}, which the first worker has created, is not here: workers must share --train_dir")
        yield run


def require_agreement(crew: Crew, plan: Plan, dataset: Dataset) -> None:
    """Raise `UserError`, in all workers, that names the difference if two workers would train different runs."""
    settings = {name: value for name, value in fields.stored(plan.settings).items() if name not in OWN_SETTINGS}
    checkpoint = {"checkpoint": plan.start and plan.start.name, "its files": plan.manifest and plan.manifest.files}
    versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    own: dict[str, Any] = {**versions, "python": platform.python_version(), **settings, **checkpoint}
    first, *others = crew.exchange("agreement", own | manifest.describe(dataset))
    for index, other in enumerate(others, 1):
        for name in first | other:
            if first.get(name) != other.get(name):
                ours, theirs = (manifest.short(values.get(name)) for values in (first, other))
                raise UserError(f"worker 0 and worker {index} differ: {name} is {ours} and {theirs}; start them alike")
