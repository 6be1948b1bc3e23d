"""The run folder while a run trains: locked, so that no other process trains there, and with the log in it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from glo.runtime import files, lock, paths
from glo.runtime.errors import UserError
from glo.settings import TrainSettings


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
def resumed(settings: TrainSettings) -> Iterator[None]:
    """Lock the run folder that --checkpoint names, if it names one. Raises as `locked`.

    It is locked before its newest checkpoint is looked up, which another process might replace.
    """
    run = Path(settings.checkpoint or "")
    if settings.checkpoint is None or settings.dry_run or not run.is_dir() or not paths.steps(run):
        yield
    else:
        with locked(run):
            yield


@contextmanager
def created(settings: TrainSettings) -> Iterator[Path]:
    """Create and lock the folder of a new run. Raises as `locked`."""
    run = paths.new_run_folder(settings.train_dir, settings.prefix, settings.dataset, settings.learning_rate)
    with locked(run):
        yield run
