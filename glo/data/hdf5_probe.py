"""A trial by another process of whether HDF5 can open an object and read the texts in its attributes.

Texts of variable length, and the mappings of virtual arrays, lie in heaps without checksums, which HDF5 reads forever
if a size in them is damaged. Files that the toolkit builds have no virtual arrays, and have had a checked copy of their
texts for some time: older files and those of others have not.
"""

import contextlib
import functools
import math
import os
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator

import h5py

SECONDS = 2  # of computing; reading takes milliseconds
MAX_TEXTS = 1 << 16  # texts of an attribute that is tried; `safe_hdf5.attribute` refuses more
DATA_LAYOUT, CONTINUATION = 0x08, 0x10  # types of the messages in an object's header
VIRTUAL = 3  # the class in a data layout message
MAX_HEADER_BYTES = 1 << 16  # objects with larger headers are always tried


def may_be_virtual(group: h5py.Group, name: bytes) -> bool:
    """Whether the object `name` directly in `group` may be a virtual array, by the bytes of its header.

    HDF5 is not asked, because all its functions that tell this read the mapping. True also if the header continues
    elsewhere, or if it does not follow the specification of the format (HDF5 File Format Specification, IV.A.1).
    """
    file, address = group.file, group.id.links.get_info(name).u
    header = os.pread(file.id.get_vfd_handle(), MAX_HEADER_BYTES, file.userblock_size + address)
    try:
        return any(kind == CONTINUATION or _is_virtual(kind, message) for kind, message in _messages(header))
    except (struct.error, ValueError):
        return True


def _is_virtual(kind: int, message: bytes) -> bool:
    return kind == DATA_LAYOUT and message[1:2] == bytes([VIRTUAL])


def _messages(header: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and content of each message in the first block of an object's header, of either version of the format."""
    if header.startswith(b"OHDR\x02"):
        flags = header[5]
        at = 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)  # times, and limits of attributes
        width = 1 << (flags & 3)
        size = int.from_bytes(header[at : at + width], "little")
        at += width
        prefix = struct.Struct("<BHB2x" if flags & 0x04 else "<BHB")
    elif header.startswith(b"\x01"):
        (size,) = struct.unpack_from("<I", header, 8)
        at, prefix = 16, struct.Struct("<HHB3x")
    else:
        raise ValueError("neither version of the format")
    end = at + size
    if end > len(header):
        raise ValueError("the header is too large or truncated")
    while at + prefix.size <= end:
        kind, length, _ = prefix.unpack_from(header, at)
        at += prefix.size
        yield kind, header[at : at + length]
        at += length


def ends(path: str, name: str) -> bool:
    """Whether HDF5 comes to an end, with or without an error, when it opens the object `name` and reads its texts."""
    state = os.stat(path)
    return _ends(path, name, state.st_size, state.st_mtime_ns)


@functools.lru_cache(maxsize=16)
def _ends(path: str, name: str, *_state: int) -> bool:
    line = [sys.executable, "-P", __file__, path, name]  # as a program, this file imports nothing of the toolkit
    process = subprocess.run(line, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    return process.returncode >= 0  # otherwise a signal has ended it


def _try(path: str, name: str) -> None:
    """Open an object and read all its attributes. The system ends the process if this takes too long."""
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    with contextlib.suppress(Exception), h5py.File(path, "r") as file:
        attributes = file[name].attrs
        for key in attributes:
            with contextlib.suppress(Exception):
                if math.prod(attributes.get_id(key).shape or ()) <= MAX_TEXTS:
                    attributes[key]


if __name__ == "__main__":
    _try(*sys.argv[1:])
