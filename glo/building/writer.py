"""Writes the dataset file, block by block: errors of the disk are seen, and an unfinished file can be continued."""

import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from glo.building.build_journal import ANEW, Reached
from glo.data import safe_hdf5
from glo.data.array_layout import DTYPES, SCHEMA, Fingerprint
from glo.data.block import Block
from glo.runtime.errors import UserError
from glo.runtime.interrupt import Interrupt

CHUNK_BYTES = 1 << 16  # small enough that a random batch reads little beside its own rows


class _Disk(io.FileIO):
    """A file whose writes seem to succeed; `check` raises the first error, such as that of a full disk.

    HDF5 must not meet errors itself: it writes from a cache, as late as when an array is let go, where h5py drops the
    error, and then the data are lost in silence or the process crashes.
    """

    def __init__(self, path: Path, mode: str):
        super().__init__(path, mode)
        self._error: OSError | None = None

    def write(self, data: Any) -> int:
        rest = memoryview(data).cast("B")
        try:
            while rest:
                rest = rest[super().write(rest) :]
        except OSError as error:
            self._error = self._error or error
        return len(data)

    def truncate(self, size: int | None = None) -> int:
        try:
            return super().truncate(size)
        except OSError as error:
            self._error = self._error or error
            return size or 0

    def check(self) -> None:
        if self._error:
            raise self._error


class Writer:
    """Fills a dataset file block by block, so that memory does not grow with the number of images."""

    def __init__(self, path: Path, found: tuple[Reached, list[str]] | None = None):
        """found: how far an interrupted build of this file came, and its ids; None makes a new file.

        Raises `UserError` if the file does not hold those rows.
        """
        self._disk = _Disk(path, "r+" if found else "w+")
        self._ids: list[str] = []
        self._fingerprint: Fingerprint | None = None
        with self._writing(), safe_hdf5.reading(path, ANEW):
            # From this version on, metadata has checksums too.
            self._file = h5py.File(self._disk, "r+" if found else "w", libver="v110")
            if found:
                self._go_on(path, *found)

    def _go_on(self, path: Path, reached: Reached, ids: list[str]) -> None:
        """Check the rows that a build came to, and drop what was written after them."""
        self._ids = ids
        if "code" in self._file:
            del self._file["code"]
        for node in self._file.values():
            node.resize(reached.rows, axis=0)
        self._fingerprint = Fingerprint(self.images.shape[1:])
        for part in safe_hdf5.rows(self.images):
            self._fingerprint.update(self.images[part])
        if self._fingerprint.hexdigest() != reached.fingerprint:
            raise UserError(f"{path} does not hold what its journal says: it is damaged, {ANEW}")

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, *_: object) -> None:
        with self._writing():
            self._file.close()
            self._disk.close()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Around all that may write: errors of the disk, and Ctrl-C, are raised at the end and not within HDF5."""
        with Interrupt() as interrupt:
            yield
        self._disk.check()
        if interrupt.received:
            raise KeyboardInterrupt

    def __len__(self) -> int:
        return len(self._ids)

    def append(self, block: Block) -> list[str]:
        """Add a block's rows, which must agree with the others in shape and optional fields, and return their ids."""
        n, *shape = block.images.shape
        if self._fingerprint is None:
            self._fingerprint = Fingerprint(tuple(shape))
        self._fingerprint.update(block.images)
        fields = {
            "image": block.images,
            "split": block.split,
            "label": block.labels,
            "attribute": block.attributes,
            "code": block.codes,
        }
        for name, values in fields.items():
            if values is not None:
                self.extend(name, [values])
        start = len(self._ids)
        new = block.ids or [str(row) for row in range(start, start + n)]
        self._ids += new
        return new

    def extend(self, name: str, blocks: Iterable[np.ndarray]) -> None:
        """Add rows to the array `name`, which is made on first use."""
        for values in blocks:
            with self._writing():
                if name not in self._file:
                    self._create(name, values.shape[1:])
                node = self._file[name]
                start = len(node)
                node.resize(start + len(values), axis=0)
                node[start:] = values
                self._file.flush()

    @property
    def images(self) -> h5py.Dataset:
        return self._file["image"]

    @property
    def fingerprint(self) -> str:
        """Of the rows so far."""
        return self._fingerprint.hexdigest()

    @property
    def split(self) -> np.ndarray | None:
        return self._file["split"][:] if "split" in self._file else None

    @property
    def has_codes(self) -> bool:
        return "code" in self._file

    def finish(self, **attributes: Any) -> list[str]:
        """Write the file attributes and return the ids in row order."""
        attributes |= {
            "schema": SCHEMA,
            "fingerprint": self.fingerprint,
            "dimension": self._file["code"].shape[1],
        }
        with self._writing():
            for name, value in attributes.items():
                self._file.attrs[name] = value
            self._file.flush()
        return self._ids

    def _create(self, name: str, shape: tuple[int, ...]) -> None:
        row = np.dtype(DTYPES[name]).itemsize * max(1, int(np.prod(shape)))
        chunk = (max(1, CHUNK_BYTES // row), *shape)
        self._file.create_dataset(
            name, shape=(0, *shape), maxshape=(None, *shape), dtype=DTYPES[name], chunks=chunk, fletcher32=True
        )
