"""A sample of images on disk: read from a large file once, in its order, then as often as needed in little memory."""

import tempfile
from pathlib import Path

import h5py
import numpy as np

from glo.data import safe_hdf5


class Spool:
    """Some rows of an HDF5 array, copied to a file without a name that is gone when this object is.

    Slices of it are arrays in memory.
    """

    def __init__(self, images: h5py.Dataset, rows: np.ndarray, folder: Path):
        """rows: int64 [n], ascending. Raises `OSError` if there is no space in `folder`."""
        self.shape = (len(rows), *images.shape[1:])
        self.dtype = images.dtype
        self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - closed with this object
        for part in safe_hdf5.rows(images):
            # HDF5's own selection of scattered rows is far slower than reading all and picking.
            first, last = np.searchsorted(rows, [part.start, part.stop])
            if first < last:
                images[part][rows[first:last] - part.start].tofile(self._file)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, part: slice) -> np.ndarray:
        start, stop, _ = part.indices(len(self))
        values = int(np.prod(self.shape[1:]))
        self._file.seek(start * values * self.dtype.itemsize)
        read = np.fromfile(self._file, self.dtype, (stop - start) * values)
        return read.reshape(stop - start, *self.shape[1:])
