"""The run folder while a run trains: locked, checked, and with the log in it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from glo.runtime import files, lock, log, paths
from glo.runtime.errors import UserError
from glo.settings import TrainSettings
from glo.training.resume import Plan


@contextmanager
def opened(plan: Plan, settings: TrainSettings) -> Iterator[Path]:
    """Yield the run folder that the plan resumes, or a new one, in which no other process trains meanwhile.

    The log goes to its log.txt as well, which carries the lock.
    Raises `UserError` if another process trains in the folder or has continued the run since the plan was made, and
    `files.WriteError` if the folder cannot be written to.
    """
    run = plan.run or paths.new_run_folder(
        settings.train_dir, settings.prefix, settings.dataset, settings.learning_rate
    )
    files.require_writable(run)
    try:
        held = lock.acquire(paths.log(run))
    except lock.HeldError:
        raise UserError(f"another process is training in {run}: wait until it has ended") from None
    except OSError as error:
        raise files.cannot_write(paths.log(run), error) from None
    with held:
        if plan.run and (newest := paths.steps(run)[-1:]) != [plan.manifest.step]:
            raise UserError(
                f"another process has changed {run}, whose newest checkpoint was {plan.start.name} and is now "
                f"{f'model-{newest[0]}' if newest else 'gone'}: type the same command again"
            )
        files.require_writable(paths.grids(run))
        log.to_file(paths.log(run))
        yield run
