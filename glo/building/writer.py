"""Write the dataset file block by block. Disk errors are reported reliably, and an unfinished file can be continued."""

import io
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from glo.building.build_journal import START_OVER, BuildProgress
from glo.data import ids, safe_hdf5
from glo.data.array_layout import DTYPES, IDS_CHECKSUM, SCHEMA, Fingerprint
from glo.data.block import Block
from glo.data.checksums import RunningChecksums
from glo.runtime import interrupt
from glo.runtime.errors import UserError

CHUNK_BYTES = 1 << 16  # small, so that reading a random batch reads few bytes of other rows


class _Disk(io.FileIO):
    """A file that defers errors: writes always seem to succeed, and `check` raises the first error, if there was one.

    HDF5 cannot handle a failed write, such as on a full disk. It writes from a cache, sometimes only when an array
    object is destroyed. There h5py ignores the error, so that data are lost without notice or the process crashes.
    """

    def __init__(self, path: Path, mode: str):
        super().__init__(path, mode)
        self._error: OSError | None = None

    def write(self, data: Any) -> int:
        unwritten = memoryview(data).cast("B")
        try:
            while unwritten:
                unwritten = unwritten[super().write(unwritten) :]
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
    """A dataset file that is written block by block, so that memory does not grow with the number of images.

    Used as a context manager, which closes the file. Every method that writes raises `OSError` for errors of the disk.
    """

    def __init__(self, path: Path, resumed: tuple[BuildProgress, list[str]] | None = None):
        """Create the file, or continue an unfinished one.

        resumed: progress of an interrupted build of this file and the ids of its rows; None creates a new file.
        Raises `UserError` if the file does not hold those rows.
        """
        self._disk = _Disk(path, "r+" if resumed else "w+")
        self._ids: list[str] = []
        self._fingerprint: Fingerprint | None = None
        self._checksums: dict[str, RunningChecksums] = {}
        with self._writing(), safe_hdf5.reading(path, START_OVER):
            # From this format version on, metadata has checksums too.
            self._file = h5py.File(self._disk, "r+" if resumed else "w", libver="v110")
            if resumed:
                self._resume(path, *resumed)

    def _resume(self, path: Path, progress: BuildProgress, row_ids: list[str]) -> None:
        """Check the rows that the journal records, and remove everything that was written after them."""
        self._ids = row_ids
        for name in set(self._file) - set(progress.checksums):  # computed after the last row
            del self._file[name]
        self._fingerprint = Fingerprint(self.images.shape[1:])
        for name, node in self._file.items():
            node.resize(progress.rows, axis=0)
            self._checksums[name] = RunningChecksums(node.chunks[0])
            for part in safe_hdf5.rows(node):
                values = node[part]
                self._checksums[name].update(values)
                if name == "image":
                    self._fingerprint.update(values)
        if self.fingerprint != progress.fingerprint or self._totals() != progress.checksums:
            raise UserError(f"{path} is damaged: its rows do not match the journal of the build, {START_OVER}")

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, *_: object) -> None:
        with self._writing():
            self._file.close()
            self._disk.close()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """A context for everything that may write: disk errors and signals are raised at its end, not inside HDF5."""
        with interrupt.delayed():
            yield
            self._disk.check()

    def __len__(self) -> int:
        return len(self._ids)

    def append(self, block: Block) -> list[str]:
        """Append the rows of a block and return their ids.

        All blocks must have the same image shape and the same optional fields.
        """
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
        new_ids = block.ids or [str(row) for row in range(start, start + n)]
        self._ids += new_ids
        return new_ids

    def extend(self, name: str, blocks: Iterable[np.ndarray]) -> None:
        """Append rows to the array `name`, one of `DTYPES`, which is created on first use."""
        for values in blocks:
            with self._writing():
                if name not in self._file:
                    self._create(name, values.shape[1:])
                node = self._file[name]
                start = len(node)
                node.resize(start + len(values), axis=0)
                node[start:] = values
                self._checksums[name].update(np.asarray(values, node.dtype))
                self._file.flush()

    @property
    def images(self) -> h5py.Dataset:
        return self._file["image"]

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the images written so far, in hexadecimal."""
        return self._fingerprint.hexdigest()

    def progress(self, items_consumed: int) -> BuildProgress:
        """What is written so far. items_consumed: how many items of the source that accounts for."""
        return BuildProgress(len(self), items_consumed, self.fingerprint, self._totals())

    def _totals(self) -> dict[str, int]:
        return {name: running.total for name, running in self._checksums.items()}

    @property
    def split(self) -> np.ndarray | None:
        return self._file["split"][:] if "split" in self._file else None

    @property
    def has_codes(self) -> bool:
        return "code" in self._file

    def finish(self, **attributes: Any) -> list[str]:
        """Write the file attributes, and return the ids of all rows in row order."""
        attributes |= {
            "schema": SCHEMA,
            "fingerprint": self.fingerprint,
            "dimension": self._file["code"].shape[1],
            IDS_CHECKSUM: ids.checksum(self._ids),
        }
        with self._writing():
            for name, running in self._checksums.items():
                running.write(self._file[name])
            self._file.attrs.update(attributes)
            texts = {name: value for name, value in attributes.items() if isinstance(value, str | list)}
            self._file.attrs[safe_hdf5.TEXTS] = np.frombuffer(json.dumps(texts).encode(), np.uint8)
            self._file.flush()
        return self._ids

    def _create(self, name: str, shape: tuple[int, ...]) -> None:
        """Create an empty array [0, *shape] that can grow, whose chunks will have checksums."""
        row_bytes = np.dtype(DTYPES[name]).itemsize * max(1, int(np.prod(shape)))
        chunks = (max(1, CHUNK_BYTES // row_bytes), *shape)
        self._checksums[name] = RunningChecksums(chunks[0])
        self._file.create_dataset(name, shape=(0, *shape), maxshape=(None, *shape), dtype=DTYPES[name], chunks=chunks)
