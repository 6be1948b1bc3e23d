"""The IDX format of MNIST and similar datasets. Files are usually compressed.

A file holds two zero bytes, the type (8 means uint8), the number of dimensions, each dimension as a big-endian uint32,
and the values in C order.
"""

import gzip
import lzma
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from datasets.compression import unpacked
from datasets.fetch import RemoteFile
from glo.data.block import TEST, TRAIN, Block
from glo.runtime import memory
from glo.runtime.errors import UserError

NAMES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)
MAX_BYTES = 2 << 30  # of pixels in one file; all of MNIST has 55 million


def files(folders: tuple[str, ...], checksums: tuple[str, ...]) -> tuple[RemoteFile, ...]:
    """The four files of a dataset in the order of `NAMES`.

    folders: addresses of the mirrors, which end in a slash. checksums: SHA-256 of each file.
    """
    return tuple(
        RemoteFile(name, tuple(folder + name for folder in folders), sha256, alternatives=_alternatives(name))
        for name, sha256 in zip(NAMES, checksums, strict=True)
    )


def _alternatives(name: str) -> tuple[str, ...]:
    """The name without compression, the same with a dot as some programs write it, and both with other compressions."""
    plain = name.removesuffix(".gz")
    dotted = plain.replace("-idx", ".idx")
    return (plain, dotted, f"{dotted}.gz", f"{plain}.xz", f"{plain}.bz2")


def blocks(paths: dict[str, Path]) -> Iterator[Block]:
    """The training block, then the test block: images [n, h, w, 1], labels and split.

    paths: from each of `NAMES` to its file. Raises `UserError` if files are damaged or do not belong together.
    """
    train_images, train_labels, test_images, test_labels = (paths[name] for name in NAMES)
    shape = None
    for images_path, labels_path, split in ((train_images, train_labels, TRAIN), (test_images, test_labels, TEST)):
        images, labels = read(images_path, 3), read(labels_path, 1)
        if len(images) != len(labels):
            raise UserError(
                f"{images_path} holds {len(images)} images but {labels_path} {len(labels)} labels; download both again"
            )
        if shape not in (None, images.shape[1:]):
            raise UserError(f"{images_path}: images are {images.shape[1:]}, but those of {train_images} are {shape}")
        shape = images.shape[1:]
        yield Block(images[..., None], np.full(len(images), split, np.uint8), labels.astype(np.int32))


def read(path: Path, dimensions: int) -> np.ndarray:
    """Read the uint8 array of an IDX file, compressed or not.

    dimensions: the expected number of dimensions. At most one byte more than the header declares is read.
    Raises `UserError` if the file is damaged or has another format.
    """
    try:
        with unpacked(path) as stream:
            return _decode(stream, dimensions, str(path))
    except EOFError:
        problem = "is cut short"
    except (ValueError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
        problem = f"is damaged: {error}"
    except OSError as error:
        problem = f"cannot be read: {error.strerror or error}"
    raise UserError(f"{path} {problem}; download it again")


def _decode(stream: BinaryIO, dimensions: int, where: str) -> np.ndarray:
    """Decode an unpacked stream. where: names the file in errors.

    Raises `EOFError` if the stream is too short, `UserError` if its values do not fit into memory, and `ValueError` for
    anything else.
    """
    magic = _exactly(stream, 4)
    if magic != bytes((0, 0, 8, dimensions)):
        raise ValueError(f"starts with {magic.hex()}, not {bytes((0, 0, 8, dimensions)).hex()} as an IDX file should")
    shape = tuple(int(length) for length in np.frombuffer(_exactly(stream, 4 * dimensions), ">u4"))
    count = 1
    for length in shape:  # Python integers do not overflow
        count *= length
    if not 0 < count <= MAX_BYTES:
        raise ValueError(f"declares {' x '.join(map(str, shape))} values")
    memory.require(count, where)
    values = np.frombuffer(_exactly(stream, count), np.uint8).reshape(shape)
    if stream.read(1):  # reading to the end also compares the checksum of the compression
        raise ValueError(f"has more than the {count:,} values that it declares")
    return values


def _exactly(stream: BinaryIO, count: int) -> bytes:
    """Read `count` bytes. Raises `EOFError` if there are fewer."""
    data = stream.read(count)
    if len(data) < count:
        raise EOFError
    return data
