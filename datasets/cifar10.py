"""CIFAR-10: 32 x 32 colour images in ten classes (Krizhevsky), read from the binary version, which has no pickles.

Each of the six files is a sequence of records: a label of one byte, then the red, green and blue planes of 1,024 bytes.
"""

import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import numpy as np

from datasets.compression import unpacked
from datasets.fetch import RemoteFile
from datasets.picture import one_line
from glo.data.block import TEST, TRAIN, Block
from glo.runtime import files
from glo.runtime.errors import UserError

FILES = (
    RemoteFile(
        name="cifar-10-binary.tar.gz",
        urls=("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",),
        sha256="c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        size=170_052_171,
        # The first of the six unpacked files represents all of them, which must be in the same folder.
        alternatives=(
            "cifar-10-binary.tar.xz",
            "cifar-10-binary.tar.bz2",
            "cifar-10-binary.tar",
            "data_batch_1.bin",
        ),
    ),
)
SPLITS = {**{f"data_batch_{number}.bin": TRAIN for number in range(1, 6)}, "test_batch.bin": TEST}
RECORD = 1 + 3 * 32 * 32  # bytes
MAX_MEMBER = 100_000 * RECORD  # bytes of one of the six files; the official ones have 10,000 records
MAX_ARCHIVE = 1 << 30  # bytes of all members, unpacked


def blocks(paths: dict[str, Path]) -> Iterator[Block]:
    """Six blocks: 50,000 training and 10,000 test images [n, 32, 32, 3], labels 0 to 9.

    paths: the path of the archive, or of `data_batch_1.bin` in a folder with the six unpacked files.
    Raises `UserError` if a file is missing, damaged, or has another format.
    """
    path = paths[FILES[0].name]
    files = _unpacked(path.parent) if path.suffix == ".bin" else _archive(path)
    for where, data, split in files:
        yield decode(data, split, where)


def decode(data: bytes, split: int, where: str) -> Block:
    """Decode the records of one file. where: names the file in error messages.

    Raises `UserError` if the length or a label is invalid.
    """
    if len(data) % RECORD or not data:
        raise UserError(f"{where}: {len(data):,} bytes are not whole records of {RECORD}; download it again")
    records = np.frombuffer(data, np.uint8).reshape(-1, RECORD)
    labels = records[:, 0].astype(np.int32)
    if labels.max() > 9:
        raise UserError(f"{where}: label {labels.max()} is not one of 0 to 9; is it the binary version of CIFAR-10?")
    images = records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return Block(np.ascontiguousarray(images), np.full(len(labels), split, np.uint8), labels)


def _unpacked(folder: Path) -> Iterator[tuple[str, bytes, int]]:
    """Path, content and split of the six files in a folder, in order."""
    for name, split in SPLITS.items():
        path = folder / name
        try:
            with files.open_regular(path) as file:
                content = file.read(MAX_MEMBER + 1)
            if len(content) > MAX_MEMBER:
                raise UserError(f"{path}: more than {MAX_MEMBER:,} bytes are too many for a file of CIFAR-10")
            yield str(path), content, split
        except OSError as error:
            raise UserError(
                f"cannot read {path}: {error.strerror or error}; all of {', '.join(SPLITS)} are needed"
            ) from error


def _archive(path: Path) -> Iterator[tuple[str, bytes, int]]:
    """The same from a tar archive, compressed or not. Only the six members are read, and nothing is extracted."""
    contents: dict[str, bytes] = {}
    try:
        with unpacked(path) as stream, tarfile.open(fileobj=_BoundedReads(stream), mode="r:") as archive:
            total = 0
            for member in archive:
                total += member.size
                if total > MAX_ARCHIVE:  # checked before the next member, for which this one would be decompressed
                    raise UserError(f"{path}: unpacks to more than {MAX_ARCHIVE:,} bytes; it is not CIFAR-10")
                name = PurePosixPath(member.name).name
                if name not in SPLITS or not member.isreg():
                    continue
                if name in contents or member.size > MAX_MEMBER:
                    problem = "appears twice" if name in contents else f"has {member.size:,} bytes, which are too many"
                    raise UserError(f"{path}: {name} {problem}; it is not the binary version of CIFAR-10")
                contents[name] = archive.extractfile(member).read()
            stream.read(1 << 20)  # reads the padding, because checksums are compared at the end of the stream
    except UserError:
        raise
    except Exception as error:  # tarfile raises many kinds of exceptions for damaged archives
        raise UserError(f"{path} cannot be read: {one_line(error)}; download it again") from error
    missing = [name for name in SPLITS if name not in contents]
    if missing:
        raise UserError(f"{path} lacks {', '.join(missing)}; it must be the binary version, cifar-10-binary.tar.gz")
    for name, split in SPLITS.items():
        yield f"{path}: {name}", contents.pop(name), split


class _BoundedReads:
    """A stream that refuses to read more than `MAX_MEMBER` bytes at once.

    tarfile reads extended headers at once, and they declare their own size: a small archive could fill the memory.
    """

    def __init__(self, stream: BinaryIO):
        self._stream = stream
        self.seek, self.tell, self.close = stream.seek, stream.tell, stream.close

    def read(self, size: int) -> bytes:
        if not 0 <= size <= MAX_MEMBER:
            raise ValueError(f"a header of {size:,} bytes")
        return self._stream.read(size)
