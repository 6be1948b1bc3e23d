"""The dataset file: datasets/<name>/data.hdf5, written once, then only read.

    image  uint8   [N, H, W, C]      code   float32 [N, d]   the initial codes
    split  uint8   [N]  0/1          label  int32   [N]      optional
and file attributes: schema, name, source, distribution, dimension, seed, fingerprint, label_names (optional).

Other people's files are hostile input: only plain numeric arrays stored inside the file itself are read; external and
virtual links could name other files of the reader's. Every array carries a checksum, and the fingerprint (SHA-256 of
shape and pixels in row order) ties learned codes to their rows.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from glo.block import TEST, TRAIN, Block
from glo.errors import UserError

SCHEMA = 1
CHUNK_BYTES = 1 << 16  # small enough that a random batch reads little beside its own rows
READ_BYTES = 1 << 26


class Fingerprint:
    """SHA-256 over (H, W, C) and the pixels of every row, fed in row order."""

    def __init__(self, shape: tuple[int, ...]):
        self._hash = hashlib.sha256("x".join(map(str, shape)).encode())

    def update(self, images: np.ndarray) -> None:
        self._hash.update(np.ascontiguousarray(images).data)

    def hexdigest(self) -> str:
        return self._hash.hexdigest()


@contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """Open an HDF5 file for reading; whatever turns out to be broken inside is a `UserError` naming the file."""
    try:
        with h5py.File(path, "r") as file:
            yield file
    except FileNotFoundError:
        raise UserError(f"no file {path}") from None
    except PermissionError:
        raise UserError(f"may not read {path}: check its permissions") from None
    except MemoryError:
        raise UserError(f"{path} does not fit in memory: use --max_samples with a smaller dataset") from None
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError, OverflowError) as error:
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise UserError(
            f"{path} is not a sound HDF5 file ({reason}): it is damaged or of another kind, build it again"
        ) from None


def array(group: h5py.Group, name: str) -> h5py.Dataset | None:
    """The plain numeric array of that name, or None. Links to other files, and anything that is no array, are refused."""
    where = f"{group.file.filename}: '{group.name.rstrip('/')}/{name}'"
    link = group.get(name, getlink=True)
    if link is None:
        return None
    if not isinstance(link, h5py.HardLink):
        raise UserError(f"{where} is a {type(link).__name__}, refused: a link can read other files; copy the data in")
    node = group[name]
    if not isinstance(node, h5py.Dataset):
        raise UserError(f"{where} must be an array, not a group")
    if node.is_virtual or node.external:
        raise UserError(f"{where} has its data in another file, refused: copy the data in")
    if node.dtype.kind not in "uif":
        raise UserError(f"{where} must hold numbers, not {node.dtype}")
    return node


def rows(node: h5py.Dataset) -> Iterator[slice]:
    """Slices that cover an array's rows in order, each some tens of megabytes."""
    row_bytes = max(1, node.dtype.itemsize * int(np.prod(node.shape[1:], dtype=np.int64)))
    step = max(1, READ_BYTES // row_bytes)
    for start in range(0, len(node), step):
        yield slice(start, min(start + step, len(node)))


class Writer:
    """Fills a new dataset file block by block, so that memory does not grow with the number of images."""

    def __init__(self, path: Path):
        self._file = h5py.File(path, "w", libver="v110")  # from this version on, metadata has checksums too
        self._ids: list[str] = []
        self._fingerprint: Fingerprint | None = None
        self._digits: bool | None = None

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __len__(self) -> int:
        return len(self._ids)

    def append(self, block: Block) -> None:
        """Add a block's rows. Blocks must agree in shape and in which optional fields they have."""
        n, *shape = block.images.shape
        if self._fingerprint is None:
            self._fingerprint = Fingerprint(tuple(shape))
            self._create("image", np.uint8, shape)
            for name, values in (("split", block.split), ("label", block.labels), ("code", block.codes)):
                if values is not None:
                    self._create(
                        name, {"split": np.uint8, "label": np.int32, "code": np.float32}[name], values.shape[1:]
                    )
        self._fingerprint.update(block.images)
        for name, values in (
            ("image", block.images),
            ("split", block.split),
            ("label", block.labels),
            ("code", block.codes),
        ):
            if values is not None:
                self._extend(name, values)
        start = len(self._ids)
        self._ids.extend(block.ids or map(str, range(start, start + n)))

    @property
    def images(self) -> h5py.Dataset:
        return self._file["image"]

    @property
    def split(self) -> np.ndarray | None:
        return self._file["split"][:] if "split" in self._file else None

    @property
    def has_codes(self) -> bool:
        return "code" in self._file

    def set(self, name: str, blocks: Iterator[np.ndarray]) -> None:
        """Write `split` or `code`, given in row order."""
        for values in blocks:
            if name not in self._file:
                self._create(name, values.dtype, values.shape[1:])
            self._extend(name, values)

    def close(self, **attributes: Any) -> list[str]:
        """Write the file attributes, close, and return the ids in row order."""
        self._file.attrs["schema"] = SCHEMA
        self._file.attrs["fingerprint"] = self._fingerprint.hexdigest()
        self._file.attrs["dimension"] = self._file["code"].shape[1]
        for name, value in attributes.items():
            self._file.attrs[name] = value
        self._file.close()
        return self._ids

    def _create(self, name: str, dtype: Any, shape: tuple[int, ...]) -> None:
        row = np.dtype(dtype).itemsize * max(1, int(np.prod(shape)))
        chunk = (max(1, CHUNK_BYTES // row), *shape)
        self._file.create_dataset(
            name, shape=(0, *shape), maxshape=(None, *shape), dtype=dtype, chunks=chunk, fletcher32=True
        )

    def _extend(self, name: str, values: np.ndarray) -> None:
        node = self._file[name]
        start = len(node)
        node.resize(start + len(values), axis=0)
        node[start:] = values


def check(
    path: Path,
    images: h5py.Dataset,
    codes: h5py.Dataset | None,
    split: h5py.Dataset | None,
    labels: h5py.Dataset | None,
) -> None:
    """Refuse a file whose arrays do not belong together."""
    if codes is None:
        raise UserError(f"{path} has no 'code' array: build it again with download.py")
    if images.ndim != 4 or images.shape[3] not in (1, 3) or min(images.shape[1:3]) < 1:
        raise UserError(f"{path}: 'image' must be [N, H, W, 1 or 3], not {list(images.shape)}")
    if len(images) == 0:
        raise UserError(f"{path} holds no images")
    if codes.ndim != 2 or codes.shape[1] < 1:
        raise UserError(f"{path}: 'code' must be [N, d], not {list(codes.shape)}")
    for name, node in (("code", codes), ("split", split), ("label", labels)):
        if node is not None and len(node) != len(images):
            raise UserError(f"{path}: '{name}' has {len(node)} rows and 'image' {len(images)}")
    for name, node in (("split", split), ("label", labels)):
        if node is not None and node.ndim != 1:
            raise UserError(f"{path}: '{name}' must be [N], not {list(node.shape)}")
    if split is not None and not set(np.unique(split[:])) <= {TRAIN, TEST}:
        raise UserError(f"{path}: 'split' must hold {TRAIN} (train) and {TEST} (test) only")
