"""Reads checkpoints in TensorFlow's format, model-<step>.index and .data-*, without TensorFlow.

TensorFlow aborts the process when it opens an index that is damaged or malicious, and no exception can be caught then.
Checksums do not help, since a manifest can be forged along with the index. Therefore TensorFlow only writes
checkpoints; here they are read, by code that checks every length and raises `ValueError`.

The index is a table of LevelDB: blocks of sorted entries from the names of tensors to protocol buffers
(tensorflow/core/protobuf/tensor_bundle.proto) that state dtype, shape, and where in a data file the values lie.
"""

import math
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from glo.runtime.files import open_regular

MAX_INDEX_BYTES, MAX_NAME_BYTES = 1 << 22, 1000  # an index takes about a hundred bytes a variable
FOOTER, MAGIC = 48, struct.pack("<Q", 0xDB4775248B80FB57)
TRAILER = 5  # bytes after each block: kind of compression, and CRC
# By numbers of tensorflow/core/framework/types.proto. Values are little-endian.
DTYPES = {1: "<f4", 2: "<f8", 3: "<i4", 4: "u1", 6: "i1", 9: "<i8", 10: "?", 17: "<u2", 19: "<f2", 22: "<u4", 23: "<u8"}
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # wire types of protocol buffers


class Entry(NamedTuple):
    """A tensor of a checkpoint: its dtype and shape, and its place in the data file, in bytes."""

    dtype: np.dtype
    shape: tuple[int, ...]
    file: Path
    offset: int
    size: int

    def read(self, start: int = 0, count: int | None = None) -> np.ndarray:
        """The values, of `count` rows from row `start` on if it is given. Raises `ValueError` if the file is cut off.

        Raises `OSError` if the file cannot be read.
        """
        shape = self.shape if count is None else (count, *self.shape[1:])
        row = self.dtype.itemsize * math.prod(self.shape[1:])
        with open_regular(self.file) as file:
            file.seek(self.offset + start * row)
            values = np.fromfile(file, self.dtype, math.prod(shape))
        return values.reshape(shape)


def index_file(prefix: Path) -> Path:
    return prefix.with_name(f"{prefix.name}.index")


def data_file(prefix: Path) -> Path:
    """The file of all values: TensorFlow can write several, but GLO lets it write one."""
    return prefix.with_name(f"{prefix.name}.data-00000-of-00001")


def files(prefix: Path) -> tuple[Path, Path]:
    """All files of a checkpoint."""
    return data_file(prefix), index_file(prefix)


def read(prefix: Path) -> dict[str, Entry]:
    """The tensors of a checkpoint by name, not read yet. Together they fill the data file exactly.

    Raises `ValueError`, with the reason, if the index is damaged or does not fit the data file, and `OSError` if a
    file cannot be read.
    """
    with open_regular(index_file(prefix)) as file:
        content = file.read(MAX_INDEX_BYTES + 1)
    if len(content) > MAX_INDEX_BYTES:
        raise ValueError("its index is too large")
    try:
        (name, header), *pairs = _table(content)
        fields = _message(header)
        if name or fields.get(1) != 1 or fields.get(2, 0) != 0:  # one data file, little-endian
            raise ValueError("the header of its index is damaged")
        entries = {name.decode(): _entry(_message(value), data_file(prefix)) for name, value in pairs}
    except (IndexError, TypeError, struct.error, UnicodeDecodeError) as error:
        raise ValueError("its index is damaged") from error
    end = 0
    for entry in sorted(entries.values(), key=lambda entry: (entry.offset, entry.size)):
        if entry.offset != end:
            raise ValueError("its index does not fit its data file")
        end += entry.size
    if end != data_file(prefix).stat().st_size:
        raise ValueError("its index does not fit its data file")
    return entries


def _table(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The entries of a LevelDB table: an index block, whose values point to the blocks that hold the entries."""
    footer = content[-FOOTER:]
    if len(footer) < FOOTER or footer[-len(MAGIC) :] != MAGIC:
        raise ValueError("its index is damaged")
    _, place = _handle(footer, 0)  # of a block that is not used
    (offset, size), _ = _handle(footer, place)
    last, read = None, 0
    for _, value in _block(content, offset, size):
        (offset, size), _ = _handle(value, 0)
        read += size
        if read > len(content):
            raise ValueError("its index is damaged")  # blocks that are listed many times could take hours
        for key, entry in _block(content, offset, size):
            if last is not None and key <= last:
                raise ValueError("its index is not sorted")
            last = key
            yield key, entry


def _block(content: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """The entries of a block. A key continues the first bytes of the key before it."""
    if offset + size + TRAILER > len(content) or content[offset + size] != 0:
        raise ValueError("its index is cut off or compressed")
    block = content[offset : offset + size]
    (restarts,) = struct.unpack("<I", block[-4:])
    end, place, key = size - 4 * (restarts + 1), 0, b""
    if end < 0:
        raise ValueError("its index is damaged")
    while place < end:
        shared, place = _varint(block, place)
        length, place = _varint(block, place)
        value_length, place = _varint(block, place)
        if shared > len(key) or shared + length > MAX_NAME_BYTES or place + length + value_length > end:
            raise ValueError("its index is damaged")
        key = key[:shared] + block[place : place + length]
        place += length + value_length
        yield key, block[place - value_length : place]


def _handle(content: bytes, place: int) -> tuple[tuple[int, int], int]:
    """Offset and size of a block, and the place after them."""
    offset, place = _varint(content, place)
    size, place = _varint(content, place)
    return (offset, size), place


def _varint(content: bytes, place: int) -> tuple[int, int]:
    """A number in groups of 7 bits, the lowest first, and the place after it."""
    value = 0
    for shift in range(0, 64, 7):
        byte = content[place]
        place += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, place
    raise ValueError("its index is damaged")


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a protocol buffer: their numbers and their values."""
    place = 0
    while place < len(message):
        tag, place = _varint(message, place)
        kind = tag & 7
        if kind == VARINT:
            value, place = _varint(message, place)
        else:
            length, place = (
                _varint(message, place) if kind == BYTES else ({FIXED64: 8, FIXED32: 4}.get(kind, -1), place)
            )
            if not 0 <= length <= len(message) - place:
                raise ValueError("its index is damaged")
            value, place = message[place : place + length], place + length
        yield tag >> 3, value


def _message(message: bytes) -> dict[int, int | bytes]:
    """The fields of a protocol buffer that has none twice."""
    pairs = list(_fields(message))
    if len(dict(pairs)) != len(pairs):
        raise ValueError("its index is damaged")
    return dict(pairs)


def _entry(fields: dict[int, int | bytes], file: Path) -> Entry:
    """fields: of a BundleEntryProto: 1 dtype, 2 shape, 3 data file, 4 offset, 5 size, 6 CRC. GLO writes no others."""
    offset, size = fields.get(4, 0), fields.get(5, 0)
    if fields.keys() - {1, 2, 4, 5, 6} or fields.get(1) not in DTYPES or not isinstance(offset, int):
        raise ValueError("its index lists something else than plain arrays of numbers")
    dtype, shape = np.dtype(DTYPES[fields[1]]), []
    for number, dimension in _fields(fields.get(2, b"")):
        length = _message(dimension).get(1, 0)
        if number != 2 or not isinstance(length, int):
            raise ValueError("its index lists an array of unknown shape")
        shape.append(length)
    if size != dtype.itemsize * math.prod(shape):
        raise ValueError("its index lists an array of another size than its shape")
    return Entry(dtype, tuple(shape), file, offset, size)
