"""Arrays that stay in the dataset file, because they are larger than memory. Rows are read when they are indexed."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from glo.data import safe_hdf5

PIECE_BYTES = 1 << 20  # read at once: a small number, because other threads wait for HDF5's lock meanwhile


class LazyArray:
    """An array [N, ...] in an HDF5 file. It is indexed along its first axis like a NumPy array, from any thread.

    Indexing raises `UserError` if the file is damaged.
    """

    def __init__(self, path: Path, name: str, dtype: type, convert: Callable[[np.ndarray], np.ndarray]):
        """Open the array `name` of the file `path`. convert: a function from its values to values of `dtype`."""
        self.path, self.dtype, self._convert = path, np.dtype(dtype), convert
        with safe_hdf5.reading(path):
            self._array = h5py.File(path, "r")[name]
            self.shape: tuple[int, ...] = self._array.shape
            self._piece_rows = safe_hdf5.rows_of(self._array, PIECE_BYTES)
            # Rows at a smaller distance than this are read together, including the rows between them.
            self._max_gap = self._array.chunks[0] if self._array.chunks else self._piece_rows

    def leading(self, columns: int) -> "LazyArray":
        """The first `columns` columns of an array [N, d]."""
        narrow = copy.copy(self)
        narrow.shape = (len(self), columns)
        narrow._convert = lambda values: self._convert(values)[:, :columns]
        return narrow

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: slice | np.ndarray) -> np.ndarray:
        """Read the rows of a slice, or of row numbers int64 [n] in any order."""
        rows = np.arange(len(self))[index] if isinstance(index, slice) else index
        values = np.empty((len(rows), *self.shape[1:]), self.dtype)
        order = np.argsort(rows, kind="stable")
        ascending = rows[order]
        # HDF5's own selection of scattered rows is far slower than reading pieces and choosing rows from them.
        cuts = (np.diff(ascending) > self._max_gap) | (np.diff(ascending // self._piece_rows) > 0)
        with safe_hdf5.reading(self.path):
            for part in np.split(np.arange(len(rows)), np.flatnonzero(cuts) + 1):
                if len(part):
                    first, last = ascending[part[0]], ascending[part[-1]]
                    values[order[part]] = self._convert(self._array[first : last + 1])[ascending[part] - first]
        return values


@dataclass(frozen=True)
class Rows:
    """A view of some rows of an array in memory or in a file. Values are copied only when the view is indexed.

    source: the array [N, ...]. rows: int64 [n], the rows of `source` in the order of the view.
    """

    source: np.ndarray | LazyArray
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def shape(self) -> tuple[int, ...]:
        return len(self.rows), *self.source.shape[1:]

    def __getitem__(self, index: slice | np.ndarray) -> np.ndarray:
        return self.source[self.rows[index]]

    def load(self, index: np.ndarray) -> "Rows | np.ndarray":
        """The rows `index`, int64 [b], of the view, so that they can be indexed without access to a file.

        Rows in a file are read now; rows in memory are not copied.
        """
        return self[index] if isinstance(self.source, LazyArray) else Rows(self.source, self.rows[index])
