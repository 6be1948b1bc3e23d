"""Read HDF5 files that may be damaged or malicious.

Only plain numeric arrays that are stored inside the file are read. Links, external storage and virtual arrays are
refused, because they could refer to other files on the user's computer.
"""

import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from glo.data import hdf5_probe
from glo.runtime import files
from glo.runtime.errors import UserError

READ_BYTES = 1 << 26
MAX_ATTRIBUTE_BYTES = 1 << 26
# Arrays may be compressed, or small and never written, which HDF5 reads as zeros.
MAX_COMPRESSION = 1100  # deflate compresses zeros 1032 times, and nothing more
MAX_UNWRITTEN_BYTES = 1 << 26
REBUILD = "build it again with download.py --force"
# An attribute with all texts among the attributes of a file, as JSON, uint8 [n]. HDF5 compares its checksum. The texts
# themselves have none, and HDF5 may read damaged ones forever: they are there for other programs.
TEXTS = "texts"


@contextmanager
def opened(path: Path, advice: str = REBUILD) -> Iterator[h5py.File]:
    """Open an HDF5 file for reading. Errors inside the block are converted as in `reading`."""
    with reading(path, advice), open_file(path) as file:
        yield file


def open_file(path: Path) -> h5py.File:
    """Open an HDF5 file for reading, within `reading`. Raises `OSError`, also for what `files.regular_size` refuses."""
    files.regular_size(path)
    return h5py.File(path, "r")


@contextmanager
def reading(path: Path, advice: str = REBUILD) -> Iterator[None]:
    """A context for code that reads an HDF5 file.

    Errors caused by a missing, unreadable or damaged file are raised as `UserError` with the path. advice: what the
    user should do about a damaged file, the last part of the message.
    """
    try:
        yield
    except FileNotFoundError:
        raise UserError(f"no file {path}") from None
    except IsADirectoryError:
        raise UserError(f"{path} is a folder, not an HDF5 file") from None
    except files.SpecialFileError as error:
        raise UserError(f"cannot read {path}: {error.strerror}; replace or remove it") from None
    except PermissionError:
        raise UserError(f"cannot read {path}: permission denied; change its permissions") from None
    except MemoryError:
        raise UserError(f"{path} does not fit in memory: use a smaller one") from None
    # h5py raises any of these for errors of the HDF5 library in damaged files.
    except (OSError, RuntimeError, LookupError, ValueError, TypeError, OverflowError) as error:
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise UserError(
            f"{path} is not a valid HDF5 file ({reason}): it is damaged or has another format, {advice}"
        ) from None


def child(group: h5py.Group, name: str) -> h5py.Group | h5py.Dataset | None:
    """The object `name` directly in `group`, or None if there is none. Links are not followed.

    Raises `UserError` for a soft or external link, and for a virtual array so damaged that HDF5 would read it forever.
    """
    links, key = group.id.links, name.encode("utf-8", "surrogateescape")
    if not links.exists(key):
        return None
    if links.get_info(key).type != h5py.h5l.TYPE_HARD:
        raise UserError(f"{_where(group, name)} is a link, refused: it could read other files; copy the data in")
    if hdf5_probe.may_be_virtual(group, key) and not hdf5_probe.ends(group.file.filename, f"{group.name}/{name}"):
        raise UserError(f"{_where(group, name)} is damaged: it cannot be opened, {REBUILD}")
    return group[name]


def array(group: h5py.Group, name: str) -> h5py.Dataset | None:
    """The plain numeric array `name` directly in `group`, not yet read, or None if there is none.

    Raises `UserError` if the object is a link, not an array, not numeric, or stores its data in another file.
    """
    node = child(group, name)
    if node is None:
        return None
    if not isinstance(node, h5py.Dataset) or node.shape is None:
        raise UserError(f"{_where(group, name)} must be an array")
    if node.is_virtual or node.external:
        raise UserError(f"{_where(group, name)} has its data in another file, refused: copy the data in")
    if node.dtype.kind not in "uif":
        raise UserError(f"{_where(group, name)} must hold numbers, not {node.dtype}")
    declared = size(node) * node.dtype.itemsize
    # The size of the file comes first, because HDF5 reads the whole index of an array to tell its stored size.
    if declared > MAX_UNWRITTEN_BYTES and declared > os.path.getsize(group.file.filename):
        stored = node.id.get_storage_size()
        if declared > MAX_COMPRESSION * stored:
            raise UserError(
                f"{_where(group, name)} declares {declared / 1e9:.1f} GB, of which the file stores "
                f"{stored / 1e9:.1f} GB: it was never written completely, {REBUILD}"
            )
    return node


def attribute(node: h5py.Group | h5py.Dataset, name: str) -> Any:
    """The value of an attribute, or None if there is none or it is empty. A single text of any kind is a str.

    Texts are taken from the attribute `TEXTS` if they are listed there.
    Raises `UserError` if it is larger than `MAX_ATTRIBUTE_BYTES`, has more than `hdf5_probe.MAX_TEXTS` texts, or is so
    damaged that HDF5 would read it forever.
    """
    if name not in node.attrs:
        return None
    if name != TEXTS and name in (texts := _texts(node)):
        return texts[name]
    stored = node.attrs.get_id(name)
    if stored.shape is None:
        return None
    count = math.prod(stored.shape)
    if count * stored.dtype.itemsize > MAX_ATTRIBUTE_BYTES or (stored.dtype.hasobject and count > hdf5_probe.MAX_TEXTS):
        raise UserError(f"{node.file.filename}: the attribute '{name}' of {count} values is too large: remove it")
    if stored.dtype.hasobject and not hdf5_probe.ends(node.file.filename, node.name):
        raise UserError(f"{node.file.filename} is damaged: the texts in its attributes cannot be read, {REBUILD}")
    value = node.attrs[name]
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _texts(node: h5py.Group | h5py.Dataset) -> dict[str, str | list[str]]:
    encoded = attribute(node, TEXTS)
    if encoded is None:
        return {}
    try:
        texts = json.loads(np.asarray(encoded, np.uint8).tobytes())
        if all(isinstance(value, str) or all(isinstance(text, str) for text in value) for value in texts.values()):
            return texts
    except (ValueError, TypeError, AttributeError, RecursionError):
        pass
    raise UserError(f"{node.file.filename} is damaged: its attribute '{TEXTS}' is not a list of texts, {REBUILD}")


def size(node: h5py.Dataset) -> int:
    """The number of values of an array. Python integers do not overflow, whatever shape a malicious file declares."""
    return math.prod(node.shape)


def rows_bytes(node: h5py.Dataset, rows: slice) -> int:
    """The size in bytes of some rows of an array."""
    return (rows.stop - rows.start) * node.dtype.itemsize * math.prod(node.shape[1:])


def rows_of(node: h5py.Dataset, max_bytes: int) -> int:
    """The number of rows of an array that take at most `max_bytes` bytes, but at least 1."""
    return max(1, max_bytes // max(1, node.dtype.itemsize * math.prod(node.shape[1:])))


def rows(node: h5py.Dataset) -> Iterator[slice]:
    """Slices of at most `READ_BYTES` that cover the rows of an array in order."""
    step = rows_of(node, READ_BYTES)
    for start in range(0, len(node), step):
        yield slice(start, min(start + step, len(node)))


def _where(group: h5py.Group, name: str) -> str:
    return f"{group.file.filename}: '{group.name.rstrip('/')}/{name}'"
