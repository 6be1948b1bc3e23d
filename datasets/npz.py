"""The user's own arrays in an .npz file: `image`, and optionally `label` and `split`. Pickled objects are refused."""

import logging
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from glo.data.block import TEST, Block
from glo.data.pixels import DESCRIPTION, float_range, pixel_range, to_uint8
from glo.runtime.errors import UserError

MAX_BYTES = 64 << 30  # of an unpacked array
BLOCK = 4096  # images
MAX_LABEL = np.iinfo(np.int32).max

log = logging.getLogger("glo")


def blocks(path: Path) -> Iterator[Block]:
    """The images of an .npz file in blocks of at most `BLOCK`. The file has the arrays

    image: [n, h, w] or [n, h, w, c] where c is 1 or 3; uint8, or float in [0, 1] or [-1, 1].
    label: [n], integers that fit int32; optional.
    split: [n], 0 train, 1 test; optional.
    Other arrays are ignored. The kind of pixels that was detected is logged.
    Raises `UserError` if the file is damaged or an array is missing or invalid.
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
    """Read and check the arrays, by name. Headers are checked before memory is allocated for an array."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = {name for name in ("image", "label", "split") if f"{name}.npy" in archive.namelist()}
            if "image" not in names:
                raise ValueError("it has no array named image")
            count = _check_images(*_header(archive, "image"))
            arrays = {}
            for name in sorted(names):
                shape, dtype = _header(archive, name)
                if name != "image" and (shape != (count,) or dtype.kind not in "iub"):
                    raise ValueError(f"{name} is {dtype} {shape}, not {count} integers")
                with archive.open(f"{name}.npy") as stream:
                    arrays[name] = npy.read_array(stream, allow_pickle=False)
                    stream.read()  # the checksum is compared at the end of the stream
            for name, low, high in (("label", -MAX_LABEL - 1, MAX_LABEL), ("split", 0, TEST)):
                if name in arrays and (arrays[name].min() < low or arrays[name].max() > high):
                    raise ValueError(f"{name} has values outside {low} to {high}")
            return arrays
    except zipfile.BadZipFile as error:
        problem = f"is not a valid .npz file ({error})"
    except MemoryError:
        problem = "holds arrays that do not fit into memory"
    except OSError as error:
        problem = f"cannot be read: {error.strerror or error}"
    except (ValueError, EOFError, RuntimeError, zlib.error) as error:  # RuntimeError: a password or a compression
        problem = f"cannot be used: {error}"
    raise UserError(f"{path} {problem}; write it with numpy.savez(FILE, image=..., label=...)")


def _header(archive: zipfile.ZipFile, name: str) -> tuple[tuple[int, ...], np.dtype]:
    """Read the shape and dtype of an array. Raises `ValueError` if they are invalid or do not match the file size."""
    member = archive.getinfo(f"{name}.npy")
    with archive.open(member) as stream:
        version = npy.read_magic(stream)
        readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
        if version not in readers:
            raise ValueError(f"{name} is in version {version} of the format")
        shape, _, dtype = readers[version](stream)
        length = dtype.itemsize
        for side in shape:  # Python integers do not overflow
            length *= side
        if dtype.hasobject:
            raise ValueError(f"{name} holds Python objects")
        if length > MAX_BYTES or min(shape, default=0) < 1:
            raise ValueError(f"{name} has shape {shape}")
        if member.file_size != stream.tell() + length:
            raise ValueError(f"{name} has {member.file_size:,} bytes, which do not match its shape {shape}")
    return shape, dtype


def _check_images(shape: tuple[int, ...], dtype: np.dtype) -> int:
    """The number of images. Raises `ValueError` if the shape or the dtype is not that of images."""
    if len(shape) not in (3, 4) or (len(shape) == 4 and shape[3] not in (1, 3)):
        raise ValueError(f"image has shape {shape}, not [n, h, w] or [n, h, w, c] with c 1 or 3")
    if dtype != np.uint8 and dtype.kind != "f":
        raise ValueError(f"image is {dtype}, not uint8 or float")
    return shape[0]
