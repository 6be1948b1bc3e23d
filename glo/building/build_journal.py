"""The journal of an unfinished build, from which it can be resumed. The partial files lie beside the target file."""

import dataclasses
import errno
import json
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from glo.runtime import files, lock, paths
from glo.runtime.errors import UserError
from glo.runtime.log import logger

START_OVER = "drop --resume to start from the beginning"


@dataclasses.dataclass(frozen=True)
class BuildProgress:
    """The progress of a build: rows written, items of the source consumed, the fingerprint of the images written, and
    the CRC-32 of the rows written to each array.

    `items_consumed` is at least `rows`, because unreadable items do not become rows.
    """

    rows: int
    items_consumed: int
    fingerprint: str
    checksums: dict[str, int]

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> "BuildProgress":
        """Raises `KeyError` if `stored` is not what `to_json` returns."""
        return cls(stored["rows"], stored["taken"], stored["fingerprint"], stored["checksums"])

    def to_json(self) -> dict[str, Any]:
        stored = dataclasses.asdict(self)
        return {"taken": stored.pop("items_consumed"), **stored}


class BuildJournal:
    """The partial data file of a dataset folder, and the journal that records how far it is written.

    Used as a context manager, which creates the folder and locks the partial file, so that only one process builds
    there. If the block ends before `publish`, the partial files are kept if the build can be resumed, else removed.
    Raises `UserError` if another process is building in the folder, and `WriteError` in place of any `OSError`.
    """

    def __init__(self, folder: Path, recipe: dict[str, str]):
        """recipe: everything that determines the rows. A build can only be resumed with the same recipe."""
        self.file, self._journal, self._ids = paths.partial_files(folder)
        self._target, self._recipe = folder / paths.DATASET_FILE, recipe
        self._progress: BuildProgress | None = None

    def __enter__(self) -> "BuildJournal":
        try:
            self._target.parent.mkdir(parents=True, exist_ok=True)
            for path in (self.file, self._journal, self._ids):
                if path.exists():
                    files.regular_size(path)
            if self._target.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            self._lock = lock.acquire(self.file)
        except lock.HeldError:
            raise UserError(f"another process is building {self._target}: wait until it has finished") from None
        except files.SpecialFileError as error:
            raise UserError(f"cannot write {error.filename}: {error.strerror}; remove it") from None
        except OSError as error:
            raise files.cannot_write(self._target, error) from error
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if kind is not None and self._progress:
            rows = self._progress.rows
            logger.warning("%d images are done: type the same command with --resume to continue the build", rows)
        elif kind is not None:
            self._discard(self.file)
        self._lock.close()
        if isinstance(error, OSError):
            raise files.cannot_write(self._target, error) from error

    def resume(self) -> tuple[BuildProgress, list[str]] | None:
        """The progress of an interrupted build and the ids of its rows, or None if there is no interrupted build.

        Raises `UserError` if the interrupted build has another recipe, or if its journal is damaged.
        """
        try:
            journal = json.loads(self._journal.read_text(encoding="utf-8"))
            recipe, self._progress = journal["about"], BuildProgress.from_json(journal["reached"])
            ids = self._ids.read_text(encoding="utf-8").split("\n")[: self._progress.rows]
            if len(ids) < self._progress.rows:
                raise ValueError
        except FileNotFoundError:
            logger.info("there is no interrupted build to resume: starting from the first image")
            return None
        except (OSError, ValueError, KeyError, TypeError):
            raise UserError(f"the journal {self._journal} is damaged: {START_OVER}") from None
        if recipe != self._recipe:
            different = [f"{key} {recipe.get(key)}" for key in self._recipe if recipe.get(key) != self._recipe[key]]
            raise UserError(f"the interrupted build of {self._target} has {', '.join(different)}: {START_OVER}")
        return self._progress, ids

    def start(self) -> None:
        """Discard an earlier interrupted build, if there is one."""
        if self._journal.exists():
            logger.warning("discarding an interrupted build of %s; --resume would have continued it", self._target)
        self._discard(self._journal, self._ids)

    def record(self, progress: BuildProgress, new_ids: Iterable[str]) -> None:
        """Record that the partial file holds `progress.rows` rows. new_ids: of the rows since the last call."""
        with self._ids.open("a", encoding="utf-8") as listing:
            listing.writelines(f"{name}\n" for name in new_ids)
        # Syncing to the disk would take longer than decoding. Resuming checks what a power failure has left.
        new_journal = self._journal.with_name(f"{self._journal.name}.new")
        new_journal.write_text(json.dumps({"about": self._recipe, "reached": progress.to_json()}), encoding="utf-8")
        os.replace(new_journal, self._journal)
        self._progress = progress

    def publish(self) -> None:
        """Rename the partial file, now complete, to the dataset file, and remove the journal."""
        files.sync(self.file)
        os.replace(self.file, self._target)
        files.sync(self._target.parent)
        self._discard(self._journal, self._ids)

    def _discard(self, *obsolete: Path) -> None:
        for path in obsolete:
            with suppress(OSError):
                path.unlink()
