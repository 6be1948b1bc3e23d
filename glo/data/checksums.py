"""Checksums of the arrays in a dataset file. Each is the CRC-32 of the bytes of a block of adjacent rows.

They are stored with the array, in its attributes `crc32`, uint32 [blocks], and `crc32_rows`, the number of rows of a
block; the last block may be shorter. HDF5's own checksum, Fletcher-32, accepts a block that was overwritten with zeros,
and HDF5 reads zeros beyond the end of a truncated file. The CRC-32 of zeros is not zero.
"""

import zlib
from dataclasses import dataclass

import h5py
import numpy as np

from glo.data import safe_hdf5
from glo.runtime.errors import UserError

VALUES, ROWS = "crc32", "crc32_rows"
MAX_BLOCK_BYTES = 1 << 24  # of a block of several rows, so that a malicious file cannot demand a huge read for one row


class RunningChecksums:
    """The checksums of an array that grows by blocks of any number of rows."""

    def __init__(self, rows: int):
        """rows: number of rows with a common checksum."""
        self._rows, self._pending = rows, 0
        self._finished: list[int] = []
        self._current = self.total = 0  # total: the CRC-32 of all rows so far

    def update(self, values: np.ndarray) -> None:
        """Append rows [n, ...]."""
        start = 0
        while start < len(values):
            part = np.ascontiguousarray(values[start : start + self._rows - self._pending])
            self._current, self.total = zlib.crc32(part, self._current), zlib.crc32(part, self.total)
            start, self._pending = start + len(part), self._pending + len(part)
            if self._pending == self._rows:
                self._finished.append(self._current)
                self._current = self._pending = 0

    def write(self, node: h5py.Dataset) -> None:
        """Store the checksums with the array."""
        node.attrs[VALUES] = np.array(self._finished + [self._current] * bool(self._pending), np.uint32)
        node.attrs[ROWS] = self._rows


@dataclass(frozen=True)
class Checksums:
    """The stored checksums of an array. values: uint32 [blocks]. rows: of a block. length: rows of the array."""

    values: np.ndarray
    rows: int
    length: int

    @classmethod
    def read(cls, node: h5py.Dataset) -> "Checksums | None":
        """The checksums of an array, or None if it has none. Raises `UserError` if they do not fit the array."""
        values, rows = safe_hdf5.attribute(node, VALUES), safe_hdf5.attribute(node, ROWS)
        if values is None and rows is None:
            return None
        valid = isinstance(rows, np.integer) and isinstance(values, np.ndarray) and values.dtype == np.uint32
        valid = valid and 1 <= rows <= safe_hdf5.rows_of(node, MAX_BLOCK_BYTES)
        if not valid or values.shape != (-(-len(node) // int(rows)),):
            raise UserError(
                f"{node.file.filename} is damaged: the checksums of '{node.name.strip('/')}' do not fit it, "
                f"{safe_hdf5.REBUILD}"
            )
        return cls(values, int(rows), len(node))

    def blocks_around(self, rows: slice) -> slice:
        """The smallest slice of whole blocks that contains a slice of rows."""
        stop = -(-rows.stop // self.rows) * self.rows
        return slice(rows.start // self.rows * self.rows, min(stop, self.length))

    def mismatches(self, values: np.ndarray, start: int) -> np.ndarray:
        """The rows whose block does not match its checksum, int64, ascending.

        values: whole blocks [n, ...]. start: the row of the array that they start with.
        """
        values = np.ascontiguousarray(values)
        wrong = [
            np.arange(first, min(first + self.rows, len(values)))
            for first in range(0, len(values), self.rows)
            if zlib.crc32(values[first : first + self.rows]) != self.values[(start + first) // self.rows]
        ]
        return start + np.concatenate([np.empty(0, np.int64), *wrong])
