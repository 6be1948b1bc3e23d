"""The older dataset layout: one HDF5 group per id holding 'image' [h, w, c] and 'code' [d], the ids listed in id.txt.

It is slow to read (`download.py --convert` rewrites it as the fast layout) but needs nothing but h5py to make.
"""

from pathlib import Path

import h5py
import numpy as np
from tqdm import tqdm

from glo import h5, paths
from glo.errors import UserError
from glo.log import logger
from glo.pixels import DESCRIPTION, float_range, pixel_range, to_uint8


def read(file: h5py.File, path: Path) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Read every sample in the order of id.txt.

    Returns images uint8 [N, H, W, C], codes float32 [N, d] and the ids. Raises `UserError` when the file and id.txt
    name different ids, or when shapes differ among samples.
    """
    ids = _listed(path.with_name(paths.ID_FILE), file, path)
    images, codes = [], []
    low, high = float("inf"), float("-inf")
    for name in tqdm(ids, desc="reading", unit="image", disable=None, leave=False):
        group = _group(file, name, path)
        image, code = _sample(group, name, path)
        if images and image.shape != images[0].shape:
            raise UserError(
                f"{path}: image of '{name}' is {list(image.shape)} and that of '{ids[0]}' {list(images[0].shape)}: "
                "all must agree, resize them first"
            )
        if codes and code.shape != codes[0].shape:
            raise UserError(f"{path}: code of '{name}' has {len(code)} values and that of '{ids[0]}' {len(codes[0])}")
        lowest, highest = float_range(image, f"{path}: image of '{name}'")
        low, high = min(low, lowest), max(high, highest)
        images.append(image)
        codes.append(code)
    kind = pixel_range(low, high, str(path))
    logger.info("%s: images are %s", path, DESCRIPTION[kind])
    return np.stack([to_uint8(image, kind) for image in images]), np.stack(codes).astype(np.float32), ids


def _listed(id_file: Path, file: h5py.File, path: Path) -> list[str]:
    try:
        ids = [line for line in id_file.read_text(encoding="utf-8").splitlines() if line.strip()]
    except FileNotFoundError:
        raise UserError(f"no {id_file}: list the ids of {path.name} in it, one a line, in row order") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {id_file}: {error}") from None
    if not ids:
        raise UserError(f"{id_file} lists no ids: {path} holds zero images for training")
    if len(set(ids)) < len(ids):
        repeated = next(name for name in ids if ids.count(name) > 1)
        raise UserError(f"{id_file} lists '{repeated}' more than once")
    present = set(file.keys())
    if missing := [name for name in ids if name not in present]:
        raise UserError(f"{id_file} lists {len(missing)} ids that are not in {path.name}, the first is '{missing[0]}'")
    if unlisted := sorted(present - set(ids)):
        raise UserError(
            f"{path} holds {len(unlisted)} ids that {id_file.name} does not list, the first is '{unlisted[0]}'"
        )
    return ids


def _group(file: h5py.File, name: str, path: Path) -> h5py.Group:
    link = file.get(name, getlink=True)
    if not isinstance(link, h5py.HardLink):
        raise UserError(
            f"{path}: '{name}' is a {type(link).__name__}, refused: a link can read other files; copy the data in"
        )
    group = file[name]
    if not isinstance(group, h5py.Group):
        raise UserError(f"{path}: '{name}' must be a group with 'image' and 'code'")
    return group


def _sample(group: h5py.Group, name: str, path: Path) -> tuple[np.ndarray, np.ndarray]:
    image, code = h5.array(group, "image"), h5.array(group, "code")
    if image is None or code is None:
        raise UserError(f"{path}: '{name}' has no '{'image' if image is None else 'code'}'")
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (1, 3)) or 0 in image.shape:
        raise UserError(f"{path}: image of '{name}' must be [h, w] or [h, w, 1 or 3], not {list(image.shape)}")
    if code.ndim != 1 or code.shape[0] < 1:
        raise UserError(f"{path}: code of '{name}' must be [d], not {list(code.shape)}")
    pixels = image[()]
    return pixels if pixels.ndim == 3 else pixels[..., None], code[()]
