"""The user's own arrays in an .npz file: `image`, and optionally `label` and `split`. Pickled objects are refused."""

import io
import logging
import math
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from datasets.archive import COMPRESSIONS
from datasets.picture import one_line
from glo.data.block import TEST, Block
from glo.data.pixels import DESCRIPTION, float_range, pixel_range, to_uint8
from glo.runtime import files, memory
from glo.runtime.errors import UserError

MAX_HEADER = 1 << 14  # bytes; numpy refuses longer headers than this
MAX_RATIO = 100  # of the unpacked size to the size of the file; images can hardly be compressed further
SMALL = 1 << 28  # bytes unpacked, up to which any ratio is accepted
BLOCK = 4096  # images
MAX_LABEL = np.iinfo(np.int32).max

log = logging.getLogger("glo")


def blocks(path: Path) -> Iterator[Block]:
    """The images of an .npz file in blocks of at most `BLOCK`. The file has the arrays

    image: [n, h, w] or [n, h, w, c] where c is 1 or 3; uint8, or float in [0, 1] or [-1, 1].
    label: [n], integers that fit int32; optional.
    split: [n], 0 train, 1 test; optional.
    Other arrays are ignored. The kind of pixels that was detected is logged.
    Raises `UserError` if the file is damaged, an array is missing or invalid, or the arrays do not fit into memory.
    """
    arrays = _read(path)
    images, labels, split = arrays["image"], arrays.get("label"), arrays.get("split")
    where = f"{path}: image"
    kind = pixel_range(*float_range(images, where), where)
    if images.ndim == 3:
        images = images[..., None]
    log.info("%s: %d images %dx%dx%d, %s", path, *images.shape, DESCRIPTION[kind])
    for start in range(0, len(images), BLOCK):
        part = slice(start, start + BLOCK)
        yield Block(
            np.ascontiguousarray(to_uint8(images[part], kind)),
            None if split is None else split[part].astype(np.uint8),
            None if labels is None else labels[part].astype(np.int32),
        )


def _read(path: Path) -> dict[str, np.ndarray]:
    """Read and check the arrays, by name. Headers and sizes are checked before memory is allocated for an array."""
    try:
        packed = files.regular_size(path)
        with zipfile.ZipFile(path) as archive:
            names = {name for name in ("image", "label", "split") if f"{name}.npy" in archive.namelist()}
            if "image" not in names:
                raise ValueError("it has no array named image")
            headers = {name: _header(archive, name) for name in sorted(names)}
            count = _check_images(*headers["image"])
            for name, (shape, dtype) in headers.items():
                if name != "image" and (shape != (count,) or dtype.kind not in "iub"):
                    raise ValueError(f"{name} is {dtype} {shape}, not {count} integers")
            unpacked = sum(math.prod(shape) * dtype.itemsize for shape, dtype in headers.values())
            if unpacked > max(SMALL, MAX_RATIO * packed):
                raise ValueError(f"its arrays take {unpacked // packed:,} times as much unpacked: they are not images")
            memory.require(unpacked, str(path))
            log.info("reading %s", path)
            arrays = {name: _array(archive, name) for name in headers}
        for name, low, high in (("label", -MAX_LABEL - 1, MAX_LABEL), ("split", 0, TEST)):
            if name in arrays and (arrays[name].min() < low or arrays[name].max() > high):
                raise ValueError(f"{name} has values outside {low} to {high}")
        return arrays
    except UserError:
        raise
    except zipfile.BadZipFile as error:
        problem = f"is not a valid .npz file ({one_line(error)})"
    except OSError as error:
        problem = f"cannot be read: {one_line(error)}"
    except Exception as error:  # zipfile and numpy raise many kinds of exceptions for damaged files
        problem = f"cannot be used: {one_line(error)}"
    raise UserError(f"{path} {problem}; write it with numpy.savez(FILE, image=..., label=...)")


def _header(archive: zipfile.ZipFile, name: str) -> tuple[tuple[int, ...], np.dtype]:
    """Read the shape and dtype of an array. Raises an exception if they are invalid or do not match the file size."""
    member = archive.getinfo(f"{name}.npy")
    if member.compress_type not in COMPRESSIONS:
        raise ValueError(f"{name} is compressed in another way than numpy.savez does")
    with archive.open(member) as stream:
        head = io.BytesIO(stream.read(MAX_HEADER))
    version = npy.read_magic(head)
    readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    if version not in readers:
        raise ValueError(f"{name} is in version {version} of the format")
    with warnings.catch_warnings(action="ignore"):  # of invalid escapes, and of files written by Python 2
        shape, _, dtype = readers[version](head)
    if dtype.hasobject:
        raise ValueError(f"{name} holds Python objects")
    if any(type(side) is not int or side < 1 for side in shape):
        raise ValueError(f"{name} has shape {shape}")
    length = dtype.itemsize * math.prod(shape)  # Python integers do not overflow
    if member.file_size != head.tell() + length:
        raise ValueError(f"{name} has {member.file_size:,} bytes, which do not match its shape {shape}")
    return shape, dtype


def _array(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    with archive.open(f"{name}.npy") as stream, warnings.catch_warnings(action="ignore"):
        array = npy.read_array(stream, allow_pickle=False)
        stream.read()  # the checksum is compared at the end of the stream
    return array


def _check_images(shape: tuple[int, ...], dtype: np.dtype) -> int:
    """The number of images. Raises `ValueError` if the shape or the dtype is not that of images."""
    if len(shape) not in (3, 4) or (len(shape) == 4 and shape[3] not in (1, 3)):
        raise ValueError(f"image has shape {shape}, not [n, h, w] or [n, h, w, c] with c 1 or 3")
    if dtype != np.uint8 and dtype.kind != "f":
        raise ValueError(f"image is {dtype}, not uint8 or float")
    return shape[0]
