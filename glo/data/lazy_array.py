"""Arrays in the dataset file, whose rows are read and checked when they are indexed. They may be larger than memory."""

import copy
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from glo.data import safe_hdf5
from glo.data.checksums import Checksums
from glo.data.row_numbers import spans
from glo.runtime.errors import UserError

PIECE_BYTES = 1 << 20  # read at once: a small number, because other threads wait for HDF5's lock meanwhile


class LazyArray:
    """An array [N, ...] in an HDF5 file. It is indexed along its first axis like a NumPy array, from any thread.

    Rows are read in whole blocks with a checksum, if the array has checksums. Without them, a change of the file is
    noticed by its size and time.
    Indexing raises `UserError` if the rows cannot be read or do not match their checksums, or if the file has changed.
    """

    def __init__(self, path: Path, name: str, dtype: type, convert: Callable[[np.ndarray], np.ndarray]):
        """Open the array `name` of the file `path`. convert: a function from its values to values of `dtype`."""
        self.path, self.dtype, self._convert = path, np.dtype(dtype), convert
        with safe_hdf5.reading(path):
            self._array = safe_hdf5.open_file(path)[name]
            self.shape: tuple[int, ...] = self._array.shape
            self.checksums = Checksums.read(self._array)
            self._state = self._file_state()
            piece_rows = safe_hdf5.rows_of(self._array, PIECE_BYTES)
            chunk_rows = self._array.chunks[0] if self._array.chunks else piece_rows
            # Rows at a smaller distance than this are read together, including the rows between them.
            self._max_gap = self.checksums.rows if self.checksums else chunk_rows
            # Pieces consist of whole blocks, so that no block is read twice.
            self._piece_rows = max(1, piece_rows // self._max_gap) * self._max_gap if self.checksums else piece_rows

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
        for part in np.split(np.arange(len(rows)), np.flatnonzero(cuts) + 1):
            if len(part):
                first, last = ascending[part[0]], ascending[part[-1]]
                values[order[part]] = self._convert(self._read(slice(first, last + 1)))[ascending[part] - first]
        return values

    def _read(self, rows: slice) -> np.ndarray:
        """Read and check a slice of rows."""
        blocks = self.checksums.blocks_around(rows) if self.checksums else rows
        with safe_hdf5.reading(self.path):
            values = self._array[blocks]
        if self.checksums is None:
            if self._file_state() != self._state:
                raise UserError(f"{self.path} has changed since it was opened: leave it as it is while it is in use")
        elif len(wrong := self.checksums.mismatches(values, blocks.start)):
            name = self._array.name.strip("/")
            raise UserError(
                f"{self.path} is damaged: '{name}' of {spans(wrong)} does not match its checksum, {safe_hdf5.REBUILD}"
            )
        return values[rows.start - blocks.start : rows.stop - blocks.start]

    def _file_state(self) -> tuple[int, int]:
        """The size and the time of the last change of the open file, even if its name now belongs to another file."""
        state = os.fstat(self._array.file.id.get_vfd_handle())
        return state.st_size, state.st_mtime_ns


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
