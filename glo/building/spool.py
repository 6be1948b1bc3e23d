"""A temporary copy of some images on disk, so that several passes over them need neither memory nor scattered reads."""

import tempfile
from pathlib import Path

import h5py
import numpy as np

from glo.data import safe_hdf5


class Spool:
    """A copy of some rows of an HDF5 array [N, ...] in an unnamed file, which is deleted together with this object.

    It has `shape`, `dtype` and `len`, and a slice of it is an array in memory.
    """

    def __init__(self, images: h5py.Dataset, rows: np.ndarray, folder: Path):
        """Copy the rows. rows: int64 [n], ascending. Raises `OSError` if there is no space in `folder`."""
        self.shape = (len(rows), *images.shape[1:])
        self.dtype = images.dtype
        self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - closed with this object
        for part in safe_hdf5.rows(images):
            # HDF5's own selection of scattered rows is far slower than reading all rows and choosing from them.
            first, last = np.searchsorted(rows, [part.start, part.stop])
            if first < last:
                images[part][rows[first:last] - part.start].tofile(self._file)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, part: slice) -> np.ndarray:
        start, stop, _ = part.indices(len(self))
        row_values = int(np.prod(self.shape[1:]))
        self._file.seek(start * row_values * self.dtype.itemsize)
        flat = np.fromfile(self._file, self.dtype, (stop - start) * row_values)
        return flat.reshape(stop - start, *self.shape[1:])
