"""The code table of a checkpoint, which one file or the shard of each worker holds, read by rows."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from glo.training import bundle
from glo.training.bundle import Entry
from glo.training.manifest import Manifest
from glo.workers import shards

PREFIX = "table/"  # of the names of its arrays


@dataclass(frozen=True)
class Table:
    """An array [m, ...] of a checkpoint: codes, or the state of their optimizer.

    parts: rows int64 ascending, and the array of these rows in a file; together every row once.
    """

    parts: list[tuple[np.ndarray, Entry]]

    @property
    def dtype(self) -> np.dtype:
        return self.parts[0][1].dtype

    @property
    def shape(self) -> tuple[int, ...]:
        return sum(len(rows) for rows, _ in self.parts), *self.parts[0][1].shape[1:]

    def read(self, rows: np.ndarray) -> np.ndarray:
        """The values of rows int64 ascending. Raises as `Entry.read`."""
        values = np.empty((len(rows), *self.shape[1:]), self.dtype)
        for part, entry in self.parts:
            start, stop = (int(np.searchsorted(part, rows[i], side)) for i, side in ((0, "left"), (-1, "right")))
            if np.array_equal(rows, part[start:stop]):
                return entry.read(start, stop - start)
            _, here, there = np.intersect1d(rows, part[start:stop], assume_unique=True, return_indices=True)
            if len(here):
                values[here] = entry.read(start, stop - start)[there]
        return values


def read(prefix: Path, saved: Manifest) -> dict[str, Entry | Table]:
    """The arrays of a checkpoint by name, not read yet. Raises `ValueError`, with the reason, and `OSError`."""
    entries: dict[str, Entry | Table] = dict(bundle.read(prefix))
    n, seed, copies = saved.training_images, saved.resolved(prefix).seed, saved.resolved(prefix).copies
    if saved.shards == 1:
        owned, files = [np.arange(n * (1 + copies(n)))], [entries]
    else:
        owned = [shards.table_rows(seed, n, copies(n), i, saved.shards) for i in range(saved.shards)]
        files = [bundle.read(part) for part in saved.shard_prefixes(prefix)]
    for name in {name for file in files for name in file if name.startswith(PREFIX)}:
        parts = [file.get(name) for file in files]
        shapes = [(len(rows), *parts[0].shape[1:]) if parts[0] else None for rows in owned]
        if [part and (part.dtype, part.shape) for part in parts] != [parts[0] and (parts[0].dtype, s) for s in shapes]:
            raise ValueError(f"{name!a} differs between its shards")
        entries[name] = Table(list(zip(owned, parts, strict=True)))
    return entries
