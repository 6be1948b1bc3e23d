"""The dataset file: datasets/<name>/data.hdf5, written once, then only read.

    image  uint8   [N, H, W, C]      code   float32 [N, d]   the initial codes
    split  uint8   [N]  0, 1, 2      label  int32   [N]      optional
    attribute  int8  [N, A]  0/1     optional
and file attributes: schema, name, source, distribution, dimension, seed, fingerprint, label_names and attribute_names
(optional), and the other settings it was built with.

Every array carries a checksum, and the fingerprint (SHA-256 of shape and pixels in row order) ties learned codes to
their rows.
"""

import hashlib
import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from glo import h5, ids, memory, paths
from glo.block import TRAIN, VALIDATION, Block
from glo.errors import UserError
from glo.interrupt import Interrupt
from glo.log import logger
from glo.partial import ANEW, Reached
from glo.pixels import DESCRIPTION, PixelKind, float_range, pixel_range, to_uint8
from glo.stored import Stored

SCHEMA = 1
CHUNK_BYTES = 1 << 16  # small enough that a random batch reads little beside its own rows
DTYPES = {"image": np.uint8, "split": np.uint8, "label": np.int32, "attribute": np.int8, "code": np.float32}


class Fingerprint:
    """SHA-256 over (H, W, C) and the pixels of every row, fed in row order."""

    def __init__(self, shape: tuple[int, ...]):
        self._hash = hashlib.sha256("x".join(map(str, shape)).encode())

    def update(self, images: np.ndarray) -> None:
        self._hash.update(np.ascontiguousarray(images).data)

    def hexdigest(self) -> str:
        return self._hash.hexdigest()


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
        with self._writing(), h5.reading(path, ANEW):
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
        for part in h5.rows(self.images):
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


def holds(file: h5py.File) -> bool:
    """Whether a file has this layout, rather than the older one of groups."""
    return isinstance(h5.child(file, "image"), h5py.Dataset)


def names(file: h5py.File, what: str) -> tuple[str, ...]:
    """What the file attribute `label_names` or `attribute_names` lists; empty if there is none."""
    listed = np.ravel(file.attrs.get(what, []))
    return tuple(name.decode(errors="replace") if isinstance(name, bytes) else str(name) for name in listed)


def read(file: h5py.File, path: Path, memory_limit: int) -> tuple[Block, str | None]:
    """All rows, and the fingerprint that the file was given, None if it has none.

    Where the images take more bytes than `memory_limit`, they and the codes stay in the file, and ids are not read.
    Raises `UserError` for a newer schema, and for arrays that are not what they should be or do not belong together.
    """
    schema = file.attrs.get("schema", SCHEMA)
    if np.ndim(schema) or schema != SCHEMA:
        raise UserError(
            f"{path} has schema {schema}, this version reads {SCHEMA}: update the toolkit or build it again"
        )
    image, code, split, label, attribute = (
        h5.array(file, name) for name in ("image", "code", "split", "label", "attribute")
    )
    _check_shapes(path, image, code, attribute, split, label)
    in_memory = h5.size(image) <= memory_limit
    # Beside the images: the code table with its optimizer and a copy to save, and some numbers for each row.
    memory.require(len(image) * (16 * code.shape[1] + 32) + in_memory * h5.size(image), str(path))
    kind = _pixel_kind(image, path)
    splits, labels = _integers(split, TRAIN, VALIDATION, path), _integers(label, -(2**31), 2**31 - 1, path)
    attributes = _integers(attribute, 0, 1, path)
    fingerprint = file.attrs.get("fingerprint")
    recorded = None if fingerprint is None else str(fingerprint)
    listing = path.with_name(paths.ID_FILE)
    if not in_memory:
        _check_count(ids.count(listing), image, listing, path)
        images = Stored(path, "image", np.uint8, lambda pixels: to_uint8(pixels, kind))
        codes = Stored(path, "code", np.float32, lambda values: values.astype(np.float32))
        return Block(images, splits, labels, None, codes, attributes), recorded
    listed = ids.read(listing)
    _check_count(None if listed is None else len(listed), image, listing, path)
    images = np.empty(image.shape, np.uint8)
    for part in h5.rows(image):
        images[part] = to_uint8(image[part], kind)
    return Block(images, splits, labels, listed, code[:].astype(np.float32), attributes), recorded


def _check_count(listed: int | None, image: h5py.Dataset, listing: Path, path: Path) -> None:
    if listed is not None and listed != len(image):
        raise UserError(
            f"{listing} lists {listed} ids and {path.name} holds {len(image)} images: they do not belong together"
        )


def _check_shapes(
    path: Path,
    image: h5py.Dataset,
    code: h5py.Dataset | None,
    attribute: h5py.Dataset | None,
    *columns: h5py.Dataset | None,
) -> None:
    if code is None:
        raise UserError(f"{path} has no 'code' array: build it again with download.py --force")
    if image.ndim != 4 or image.shape[3] not in (1, 3) or 0 in image.shape[1:]:
        raise UserError(f"{path}: 'image' must be [N, H, W, 1 or 3], not {list(image.shape)}")
    if len(image) == 0:
        raise UserError(f"{path} holds no images")
    if code.ndim != 2 or code.shape[1] < 1:
        raise UserError(f"{path}: 'code' must be [N, d], not {list(code.shape)}")
    if attribute is not None and (attribute.ndim != 2 or attribute.shape[1] < 1):
        raise UserError(f"{path}: 'attribute' must be [N, A], not {list(attribute.shape)}")
    for name, node in zip(("split", "label"), columns, strict=True):
        if node is not None and node.ndim != 1:
            raise UserError(f"{path}: '{name}' must be [N], not {list(node.shape)}")
    for name, node in zip(("code", "attribute", "split", "label"), (code, attribute, *columns), strict=True):
        if node is not None and len(node) != len(image):
            raise UserError(f"{path}: '{name}' has {len(node)} rows and 'image' {len(image)}")


def _pixel_kind(image: h5py.Dataset, path: Path) -> PixelKind:
    """Which of the accepted kinds the pixels are; floating-point ones are read for it."""
    low, high = float("inf"), float("-inf")
    if image.dtype != np.uint8:
        for part in h5.rows(image):
            lowest, highest = float_range(image[part], f"{path}: 'image'")
            low, high = min(low, lowest), max(high, highest)
    kind = pixel_range(low, high, f"{path}: 'image'")
    if kind != "uint8":
        logger.info("%s: images are %s", path, DESCRIPTION[kind])
    return kind


def _integers(node: h5py.Dataset | None, low: int, high: int, path: Path) -> np.ndarray | None:
    """An array of integers from low to high, in the dtype of its name."""
    if node is None:
        return None
    name, values = node.name.strip("/"), node[:]
    if values.dtype.kind not in "ui" or values.min() < low or values.max() > high:
        raise UserError(f"{path}: '{name}' must hold integers from {low} to {high}")
    return values.astype(DTYPES[name])
