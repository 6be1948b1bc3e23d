"""Arrays that are larger than memory: they stay in the dataset file and are read row by row, as rows are asked for."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from glo.data import safe_hdf5

PIECE_BYTES = 1 << 20  # the most that one read takes: other threads wait for HDF5's lock no longer than for that


class Stored:
    """An array [N, ...] in an HDF5 file, indexed along its first axis like a NumPy array. It may be read by any thread.

    Raises `UserError` on reading where the file is damaged.
    """

    def __init__(self, path: Path, name: str, dtype: type, convert: Callable[[np.ndarray], np.ndarray]):
        """convert: what makes `dtype` of the values in the file."""
        self.path, self.dtype, self._convert = path, np.dtype(dtype), convert
        with safe_hdf5.reading(path):
            self._array = h5py.File(path, "r")[name]
            self.shape: tuple[int, ...] = self._array.shape
            self._piece = safe_hdf5.rows_of(self._array, PIECE_BYTES)
            # Rows that lie closer than this are read together, with what is between them.
            self._near = self._array.chunks[0] if self._array.chunks else self._piece

    def leading(self, columns: int) -> "Stored":
        """The same rows [N, d] with their first `columns` values alone."""
        narrow = copy.copy(self)
        narrow.shape = (len(self), columns)
        narrow._convert = lambda values: self._convert(values)[:, :columns]
        return narrow

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: slice | np.ndarray) -> np.ndarray:
        """The rows of a slice, or of row numbers int64 [n] in any order."""
        rows = np.arange(len(self))[index] if isinstance(index, slice) else index
        taken = np.empty((len(rows), *self.shape[1:]), self.dtype)
        order = np.argsort(rows, kind="stable")
        ascending = rows[order]
        # HDF5's own selection of scattered rows is far slower than reading pieces and picking from them.
        cuts = (np.diff(ascending) > self._near) | (np.diff(ascending // self._piece) > 0)
        with safe_hdf5.reading(self.path):
            for part in np.split(np.arange(len(rows)), np.flatnonzero(cuts) + 1):
                if len(part):
                    first, last = ascending[part[0]], ascending[part[-1]]
                    taken[order[part]] = self._convert(self._array[first : last + 1])[ascending[part] - first]
        return taken


@dataclass(frozen=True)
class Rows:
    """Some rows of an array in memory or in a file, as an array of their own; nothing is copied before it is indexed.

    rows: int64 [n].
    """

    source: np.ndarray | Stored
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def shape(self) -> tuple[int, ...]:
        return len(self.rows), *self.source.shape[1:]

    def __getitem__(self, index: slice | np.ndarray) -> np.ndarray:
        return self.source[self.rows[index]]

    def held(self, index: np.ndarray) -> "Rows | np.ndarray":
        """Some of the rows again, from memory: read now if they are in the file."""
        return self[index] if isinstance(self.source, Stored) else Rows(self.source, self.rows[index])
