"""Reading HDF5 files that may be damaged or hostile.

Only plain numeric arrays stored inside the file itself are read: links, external storage and virtual arrays could name
other files of the reader's.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py

from glo.runtime.errors import UserError

READ_BYTES = 1 << 26
REBUILD = "build it again with download.py --force"


@contextmanager
def opened(path: Path, advice: str = REBUILD) -> Iterator[h5py.File]:
    """Open an HDF5 file for reading; whatever turns out to be broken inside is a `UserError` naming the file."""
    with reading(path, advice), h5py.File(path, "r") as file:
        yield file


@contextmanager
def reading(path: Path, advice: str = REBUILD) -> Iterator[None]:
    """Around all that reads an HDF5 file: what turns out to be broken is a `UserError` naming the file and `advice`."""
    try:
        yield
    except FileNotFoundError:
        raise UserError(f"no file {path}") from None
    except IsADirectoryError:
        raise UserError(f"{path} is a folder, not an HDF5 file") from None
    except PermissionError:
        raise UserError(f"may not read {path}: check its permissions") from None
    except MemoryError:
        raise UserError(f"{path} does not fit in memory: use a smaller one") from None
    # What h5py turns the library's errors into; damage can make it raise any of them.
    except (OSError, RuntimeError, LookupError, ValueError, TypeError, OverflowError) as error:
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise UserError(
            f"{path} is not a sound HDF5 file ({reason}): it is damaged or of another kind, {advice}"
        ) from None


def child(group: h5py.Group, name: str) -> h5py.Group | h5py.Dataset | None:
    """The object of that name right in `group`, or None. Links are refused without following them."""
    links, key = group.id.links, name.encode("utf-8", "surrogateescape")
    if not links.exists(key):
        return None
    if links.get_info(key).type != h5py.h5l.TYPE_HARD:
        raise UserError(f"{_where(group, name)} is a link, refused: it could read other files; copy the data in")
    return group[name]


def array(group: h5py.Group, name: str) -> h5py.Dataset | None:
    """The plain numeric array of that name, or None. Anything else is refused."""
    node = child(group, name)
    if node is None:
        return None
    if not isinstance(node, h5py.Dataset) or node.shape is None:
        raise UserError(f"{_where(group, name)} must be an array")
    if node.is_virtual or node.external:
        raise UserError(f"{_where(group, name)} has its data in another file, refused: copy the data in")
    if node.dtype.kind not in "uif":
        raise UserError(f"{_where(group, name)} must hold numbers, not {node.dtype}")
    return node


def size(node: h5py.Dataset) -> int:
    """The number of values, in Python's integers: a hostile shape must not overflow."""
    return math.prod(node.shape)


def rows_of(node: h5py.Dataset, size: int) -> int:
    """How many rows of an array take about `size` bytes, at least 1."""
    return max(1, size // max(1, node.dtype.itemsize * math.prod(node.shape[1:])))


def rows(node: h5py.Dataset) -> Iterator[slice]:
    """Slices that cover an array's rows in order, each some tens of megabytes."""
    step = rows_of(node, READ_BYTES)
    for start in range(0, len(node), step):
        yield slice(start, min(start + step, len(node)))


def _where(group: h5py.Group, name: str) -> str:
    return f"{group.file.filename}: '{group.name.rstrip('/')}/{name}'"
