"""The layout of the dataset file, datasets/<name>/data.hdf5. The file is written once and is read-only afterwards.

    image  uint8   [N, H, W, C]      code   float32 [N, d]   the initial codes
    split  uint8   [N]  0, 1 or 2    label  int32   [N]      optional
    attribute  int8  [N, A]  0 or 1  optional
The file attributes are schema, name, source, distribution, dimension, seed, fingerprint, optionally label_names and
attribute_names, and the other settings of the build.

Every array has checksums, see `checksums.py`. The fingerprint, a SHA-256 of the image shape and the pixels in row
order, identifies the images that learned codes belong to. The file attribute ids_crc32 is the checksum of id.txt.
"""

import hashlib
import math
from pathlib import Path

import h5py
import numpy as np

from glo.data import ids, safe_hdf5
from glo.data.block import TRAIN, VALIDATION, Block
from glo.data.checksums import Checksums
from glo.data.lazy_array import LazyArray
from glo.data.pixels import DESCRIPTION, PixelKind, float_range, pixel_range, to_uint8
from glo.runtime import memory, paths
from glo.runtime.errors import UserError
from glo.runtime.log import logger

SCHEMA = 1
IDS_CHECKSUM = "ids_crc32"
DTYPES = {"image": np.uint8, "split": np.uint8, "label": np.int32, "attribute": np.int8, "code": np.float32}


class Fingerprint:
    """SHA-256 of the image shape (H, W, C) and the pixels of all rows, which `update` expects in row order."""

    def __init__(self, shape: tuple[int, ...]):
        self._hash = hashlib.sha256("x".join(map(str, shape)).encode())

    def update(self, images: np.ndarray) -> None:
        self._hash.update(np.ascontiguousarray(images).data)

    def hexdigest(self) -> str:
        return self._hash.hexdigest()


def holds(file: h5py.File) -> bool:
    """Whether a file has this layout rather than the older one with a group per image."""
    return isinstance(safe_hdf5.child(file, "image"), h5py.Dataset)


def names(file: h5py.File, key: str) -> tuple[str, ...]:
    """The names in the file attribute `key`, which is `label_names` or `attribute_names`; empty if it is missing."""
    values = safe_hdf5.attribute(file, key)
    values = np.ravel([] if values is None else values)
    return tuple(name.decode(errors="replace") if isinstance(name, bytes) else str(name) for name in values)


def read(file: h5py.File, path: Path, memory_limit: int) -> tuple[Block, str | None]:
    """Read all rows. Returns them and the recorded fingerprint, which is not checked; None if the file has none.

    memory_limit: in bytes. If the images are larger, they and the codes stay in the file as `LazyArray`s, and the ids
        are not read.
    Raises `UserError` for another schema, and for arrays of a wrong shape or dtype or with different numbers of rows.
    """
    schema = safe_hdf5.attribute(file, "schema")
    if schema is not None and (np.ndim(schema) or schema != SCHEMA):
        raise UserError(
            f"{path} has schema {schema}, this version reads {SCHEMA}: update the toolkit or build the dataset again"
        )
    image, code, split, label, attribute = (
        safe_hdf5.array(file, name) for name in ("image", "code", "split", "label", "attribute")
    )
    _check_shapes(path, image, code, attribute, split, label)
    in_memory = safe_hdf5.size(image) <= memory_limit
    # Besides the images: the code table, the state of its optimizer, a copy for checkpoints, and a few numbers per row.
    needed = len(image) * (16 * code.shape[1] + 32) + (safe_hdf5.size(attribute) * 9 if attribute is not None else 0)
    # A single image, as it is stored and converted, or all of them.
    row_bytes = (image.dtype.itemsize + 5) * math.prod(image.shape[1:])
    memory.require(needed + max(row_bytes, in_memory * safe_hdf5.size(image)), str(path))
    kind = _pixel_kind(image, path)
    splits, labels = _integers(split, TRAIN, VALIDATION, path), _integers(label, -(2**31), 2**31 - 1, path)
    attributes = _integers(attribute, 0, 1, path)
    fingerprint = safe_hdf5.attribute(file, "fingerprint")
    recorded = None if fingerprint is None else str(fingerprint)
    images = LazyArray(path, "image", np.uint8, lambda pixels: to_uint8(pixels, kind))
    codes = LazyArray(path, "code", np.float32, lambda values: values.astype(np.float32))
    _check_ids(file, len(image), path)
    if in_memory:
        listed_ids = ids.read(path.with_name(paths.ID_FILE), len(image))
        return Block(images[:], splits, labels, listed_ids, codes[:], attributes), recorded
    return Block(images, splits, labels, None, codes, attributes), recorded


def unchecked(file: h5py.File) -> list[str]:
    """What has no checksums in a file of this layout: the names of arrays, and 'ids'."""
    arrays = {name: safe_hdf5.array(file, name) for name in DTYPES}
    without = [name for name, node in arrays.items() if node is not None and Checksums.read(node) is None]
    return without + ["ids"] * (safe_hdf5.attribute(file, IDS_CHECKSUM) is None)


def _check_ids(file: h5py.File, n: int, path: Path) -> None:
    """Check the number and the checksum of the ids in id.txt, if there is one, without reading them into memory."""
    listing = path.with_name(paths.ID_FILE)
    listed, recorded = ids.count_and_checksum(listing, n), safe_hdf5.attribute(file, IDS_CHECKSUM)
    if listed is None:
        return
    count, checksum = listed
    if count != n:
        raise UserError(f"{listing} lists {count} ids and {path.name} holds {n} images: they do not belong together")
    if recorded is not None and recorded != checksum:
        raise UserError(f"{listing} has changed since {path.name} was built: restore it, or {safe_hdf5.REBUILD}")


def _check_shapes(
    path: Path,
    image: h5py.Dataset,
    code: h5py.Dataset | None,
    attribute: h5py.Dataset | None,
    *columns: h5py.Dataset | None,
) -> None:
    if code is None:
        raise UserError(f"{path} has no 'code' array: build it again with download.py --force")
    if image.ndim != 4 or image.shape[3] not in (1, 3) or 0 in image.shape[1:]:
        raise UserError(f"{path}: 'image' must be [N, H, W, 1 or 3], not {list(image.shape)}")
    if len(image) == 0:
        raise UserError(f"{path} holds no images")
    if code.ndim != 2 or code.shape[1] < 1:
        raise UserError(f"{path}: 'code' must be [N, d], not {list(code.shape)}")
    if attribute is not None and (attribute.ndim != 2 or attribute.shape[1] < 1):
        raise UserError(f"{path}: 'attribute' must be [N, A], not {list(attribute.shape)}")
    for name, node in zip(("split", "label"), columns, strict=True):
        if node is not None and node.ndim != 1:
            raise UserError(f"{path}: '{name}' must be [N], not {list(node.shape)}")
    for name, node in zip(("code", "attribute", "split", "label"), (code, attribute, *columns), strict=True):
        if node is not None and len(node) != len(image):
            raise UserError(f"{path}: '{name}' has {len(node)} rows and 'image' {len(image)}")


def _pixel_kind(image: h5py.Dataset, path: Path) -> PixelKind:
    """The kind of the pixels. Floating-point images are read completely to find their range."""
    low, high = float("inf"), float("-inf")
    if image.dtype != np.uint8:
        for part in safe_hdf5.rows(image):
            lowest, highest = float_range(image[part], f"{path}: 'image'")
            low, high = min(low, lowest), max(high, highest)
    kind = pixel_range(low, high, f"{path}: 'image'")
    if kind != "uint8":
        logger.info("%s: images are %s", path, DESCRIPTION[kind])
    return kind


def _integers(node: h5py.Dataset | None, low: int, high: int, path: Path) -> np.ndarray | None:
    """Read an array of integers from `low` to `high`, and convert it to the dtype that `DTYPES` gives for its name."""
    if node is None:
        return None
    name = node.name.strip("/")
    values = LazyArray(path, name, node.dtype, lambda values: values)[:]
    if values.dtype.kind not in "ui" or values.min() < low or values.max() > high:
        raise UserError(f"{path}: '{name}' must hold integers from {low} to {high}")
    return values.astype(DTYPES[name])
