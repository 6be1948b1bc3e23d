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
MAX_BLOCKS, MAX_BLOCK_BYTES = 64, 1 << 20  # objects with larger headers are always tried


def may_be_virtual(group: h5py.Group, name: bytes) -> bool:
    """Whether the object `name` directly in `group` may be a virtual array, by the bytes of its header.

    HDF5 is not asked, because all its functions that tell this read the mapping. True also if the header does not
    follow the specification of the format (HDF5 File Format Specification, IV.A).
    """
    file = group.file
    if file.id.get_create_plist().get_sizes() != (8, 8):  # bytes of an address and of a length
        return True
    try:
        messages = _messages(file.id.get_vfd_handle(), file.userblock_size, group.id.links.get_info(name).u)
        return any(kind == DATA_LAYOUT and message[1] == VIRTUAL for kind, message in messages)
    except (struct.error, IndexError, ValueError, OverflowError, OSError):
        return True


def _messages(descriptor: int, base: int, address: int) -> Iterator[tuple[int, bytes]]:
    """Type and content of each message in the header of the object at an address, of either version of the format.

    base: where address 0 is in the file. Raises `ValueError` and the like if the header is damaged or very large.
    """
    start = os.pread(descriptor, 64, base + address)
    if start.startswith(b"OHDR\x02"):
        flags = start[5]
        prefix = struct.Struct("<BHB2x" if flags & 0x04 else "<BHB")
        first = 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)  # times, and limits of attributes
        width = 1 << (flags & 3)
        blocks = [(address + first + width, int.from_bytes(start[first : first + width], "little"))]
        signature, checksum = 4, 4  # bytes around the messages of a continuation block
    elif start.startswith(b"\x01"):
        prefix = struct.Struct("<HHB3x")
        blocks = [(address + 16, *struct.unpack_from("<I", start, 8))]
        signature, checksum = 0, 0
    else:
        raise ValueError("neither version of the format")
    for place, size in blocks:  # continuation messages add to these
        if len(blocks) > MAX_BLOCKS or size > MAX_BLOCK_BYTES:
            raise ValueError("the header is very large")
        block, at = os.pread(descriptor, size, base + place), 0
        if len(block) < size:
            raise ValueError("the header is truncated")
        while at + prefix.size <= size:
            kind, length, _ = prefix.unpack_from(block, at)
            message = block[at + prefix.size : at + prefix.size + length]
            if kind == CONTINUATION:
                place_of_next, size_of_next = struct.unpack_from("<QQ", message)
                blocks.append((place_of_next + signature, size_of_next - signature - checksum))
            yield kind, message
            at += prefix.size + length


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
