"""The older dataset layout: an HDF5 group per id with 'image' [h, w, c] and 'code' [d], and the ids listed in id.txt.

It is slow to read. `download.py --convert` rewrites it in the fast layout.
"""

from pathlib import Path

import h5py
import numpy as np
from tqdm import tqdm

from glo.data import ids as id_file
from glo.data import safe_hdf5
from glo.data.block import Block
from glo.data.pixels import DESCRIPTION, float_range, pixel_range, to_uint8
from glo.runtime import memory, paths
from glo.runtime.errors import UserError
from glo.runtime.log import logger


def read(file: h5py.File, path: Path, memory_limit: float) -> Block:
    """Read images, ids and codes of all samples in the order of id.txt.

    memory_limit: in bytes. Raises `UserError` if the images are larger, if the file and id.txt have different ids, or
    if the shapes of the samples differ.
    """
    ids = _read_ids(file, path)
    first_image, first_code = _sample(file, ids[0], path)
    sample_bytes = sum(safe_hdf5.size(node) * node.dtype.itemsize for node in (first_image, first_code))
    if len(ids) * safe_hdf5.size(first_image) > memory_limit:
        raise UserError(
            f"the images of {path} exceed --memory_limit, and this layout cannot be read in parts: "
            f"rewrite it with python download.py --convert {path.parent}"
        )
    memory.require(2 * len(ids) * sample_bytes, str(path))  # the samples, then the arrays made of them
    images, codes = [], []
    low, high = float("inf"), float("-inf")
    for image_id in tqdm(ids, desc="reading", unit="image", disable=None, leave=False):
        image, code = _sample(file, image_id, path)
        for name, node, first in (("image", image, first_image), ("code", code, first_code)):
            if node.shape != first.shape:
                raise UserError(
                    f"{path}: {name} of '{image_id}' is {list(node.shape)} and that of '{ids[0]}' {list(first.shape)}: "
                    "all must agree"
                )
        pixels = image[()]
        lowest, highest = float_range(pixels, f"{path}: image of '{image_id}'")
        low, high = min(low, lowest), max(high, highest)
        images.append(pixels)
        codes.append(code[()])
    kind = pixel_range(low, high, str(path))
    logger.info("%s: images are %s", path, DESCRIPTION[kind])
    stacked = np.stack([to_uint8(image, kind) for image in images])
    return Block(
        stacked if stacked.ndim == 4 else stacked[..., None], ids=ids, codes=np.stack(codes).astype(np.float32)
    )


def _read_ids(file: h5py.File, path: Path) -> list[str]:
    """The ids in id.txt. Raises `UserError` if they are not exactly those of the file."""
    listing = path.with_name(paths.ID_FILE)
    ids = id_file.read(listing, len(file))
    if ids is None:
        raise UserError(f"no {listing}: list the ids of {path.name} in it, one per line, in row order")
    if not ids:
        raise UserError(f"{listing} lists no ids: there are no images to train on")
    listed, present = set(ids), set(file.keys())
    if missing := sorted(listed - present):
        raise UserError(f"{listing} lists {len(missing)} ids that are not in {path.name}, the first is '{missing[0]}'")
    if unlisted := sorted(present - listed):
        raise UserError(
            f"{path} holds {len(unlisted)} ids that {listing.name} does not list, the first is '{unlisted[0]}'"
        )
    return ids


def _sample(file: h5py.File, image_id: str, path: Path) -> tuple[h5py.Dataset, h5py.Dataset]:
    """The image and the code of an id. Their shapes are checked, their values are not read yet."""
    group = safe_hdf5.child(file, image_id)
    if not isinstance(group, h5py.Group):
        raise UserError(f"{path}: '{image_id}' must be a group with 'image' and 'code'")
    image, code = safe_hdf5.array(group, "image"), safe_hdf5.array(group, "code")
    if image is None or code is None:
        raise UserError(f"{path}: '{image_id}' has no '{'image' if image is None else 'code'}'")
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (1, 3)) or 0 in image.shape:
        raise UserError(f"{path}: image of '{image_id}' must be [h, w] or [h, w, 1 or 3], not {list(image.shape)}")
    if code.ndim != 1 or code.shape[0] < 1:
        raise UserError(f"{path}: code of '{image_id}' must be [d], not {list(code.shape)}")
    return image, code
