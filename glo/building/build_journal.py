"""An unfinished build: a data file beside the target, and a journal of how far it came, from which it can go on."""

import fcntl
import json
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

from glo.runtime import files, paths
from glo.runtime.errors import UserError
from glo.runtime.log import logger

ANEW = "drop --resume to start anew"


@dataclass(frozen=True)
class Reached:
    """How far a build came: rows written, items of the source used up, and the fingerprint of the rows' images."""

    rows: int
    taken: int
    fingerprint: str


class Partial:
    """The unfinished data file of a dataset folder, in the hands of one build at a time.

    As a context it makes the folder, and when it is left before `publish`, the file stays if it can be gone on with.
    Raises `UserError` if another process is building there.
    """

    def __init__(self, folder: Path, about: dict[str, str]):
        """about: all that decides the rows; a build is only gone on with by one that agrees."""
        self.file, self._journal, self._ids = paths.partial_files(folder)
        self._target, self._about = folder / paths.DATASET_FILE, about
        self._reached: Reached | None = None

    def __enter__(self) -> "Partial":
        try:
            self._target.parent.mkdir(parents=True, exist_ok=True)
            self._lock = self.file.open("ab")
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise UserError(f"another build of {self._target} is under way: wait for its end") from None
        except OSError as error:
            raise files.cannot_write(self._target, error) from error
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if kind is not None and self._reached:
            logger.warning("%d images are done: type the same with --resume to go on from there", self._reached.rows)
        elif kind is not None:
            self._discard(self.file)
        self._lock.close()
        if isinstance(error, OSError):
            raise files.cannot_write(self._target, error) from error

    def resume(self) -> tuple[Reached, list[str]] | None:
        """How far an interrupted build came, and the ids of its rows; None if there is none.

        Raises `UserError` if that was another build, or its journal is damaged.
        """
        try:
            journal = json.loads(self._journal.read_text(encoding="utf-8"))
            before, self._reached = journal["about"], Reached(**journal["reached"])
            ids = self._ids.read_text(encoding="utf-8").split("\n")[: self._reached.rows]
            if len(ids) < self._reached.rows:
                raise ValueError
        except FileNotFoundError:
            logger.info("no interrupted build to go on with: starting from the first image")
            return None
        except (OSError, ValueError, KeyError, TypeError):
            raise UserError(f"the journal {self._journal} is damaged: {ANEW}") from None
        if before != self._about:
            other = [f"{name} {before.get(name)}" for name in self._about if before.get(name) != self._about[name]]
            raise UserError(f"the interrupted build of {self._target} has {', '.join(other)}: {ANEW}")
        return self._reached, ids

    def start(self) -> None:
        """Forget an earlier interrupted build."""
        if self._journal.exists():
            logger.warning("an interrupted build of %s is dropped; --resume would go on with it", self._target)
        self._discard(self._journal, self._ids)

    def record(self, reached: Reached, ids: Iterable[str]) -> None:
        """Note that the file holds all rows up to here; ids: of those that are new."""
        with self._ids.open("a", encoding="utf-8") as listing:
            listing.writelines(f"{name}\n" for name in ids)
        # Not synced to the disk, which would cost more than decoding: what a power cut leaves is checked on resuming.
        new = self._journal.with_name(f"{self._journal.name}.new")
        new.write_text(json.dumps({"about": self._about, "reached": asdict(reached)}), encoding="utf-8")
        os.replace(new, self._journal)
        self._reached = reached

    def publish(self) -> None:
        """Make the file, now complete, the dataset's."""
        files.sync(self.file)
        os.replace(self.file, self._target)
        files.sync(self._target.parent)
        self._discard(self._journal, self._ids)

    def _discard(self, *left: Path) -> None:
        for path in left:
            with suppress(OSError):
                path.unlink()
