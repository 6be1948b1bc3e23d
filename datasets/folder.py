"""A folder of the user's own pictures. The folders right below it, if the pictures lie in such, are their classes."""

import logging
import os
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import numpy as np

from datasets.decoding import Collection, Item, headers, identity
from datasets.picture import SUFFIXES
from glo.building import selection
from glo.runtime.errors import UserError

log = logging.getLogger("glo")


def collection(
    folder: Path,
    size: tuple[int, int] | None = None,
    channels: int | None = None,
    labels: str | None = None,
    max_samples: int | None = None,
    seed: int = 0,
) -> Collection:
    """The pictures below `folder`; ids are the paths below it, with forward slashes and without line breaks.

    size: (height, width) to resize and centre-crop to; None takes them as they are, if all have one size.
    channels: 1 or 3; None is 1 if every picture is grey, else 3.
    labels, max_samples: which to take, see `glo.building.selection`.
    Raises `UserError` if there are none, if the sizes differ and none is given, if one of `labels` is unknown,
    or if two would have the same id.
    """
    names = pictures(folder)
    if len(set(map(identity, names))) < len(names):
        raise UserError(f"two pictures in {folder} have names that differ in line breaks alone; rename one of them")
    classes = class_names(names)
    if not classes and any("/" in name for name in names):
        log.warning("%s: pictures lie beside the folders, so these are not taken as classes", folder)
    if labels and not classes:
        raise UserError(f"--labels {labels}: the pictures in {folder} are not in folders of classes; drop it")
    if labels:
        wanted = {classes[label] for label in selection.parse_labels(labels, classes)}
        names = [name for name in names if name.partition("/")[0] in wanted]
    names = [names[row] for row in selection.choose(np.zeros(len(names)), max_samples, seed)]
    number = {name: label for label, name in enumerate(classes)}

    def items(skip: int) -> Iterable[Item]:
        for name in islice(names, skip, None):
            yield Item(identity(name), folder / name, number.get(name.partition("/")[0]))

    if size is None or channels is None:
        found, grey = _look(folder, items(0), len(names), size is None)
        channels = channels or (1 if grey else 3)
    return Collection(str(folder), items, len(names), (*(size or found), channels), size is not None, None, classes)


def read(folder: Path, size: tuple[int, int], channels: int) -> tuple[np.ndarray, list[str]]:
    """All pictures at once: images uint8 [n, height, width, channels], and their ids. Raises as `collection`."""
    found = list(collection(folder, size, channels).blocks())
    return np.concatenate([block.images for block in found]), [name for block in found for name in block.ids]


def pictures(folder: Path) -> list[str]:
    """The paths below `folder` of all its picture files, told by suffix, in a fixed order, with forward slashes.

    Hidden files and folders are left out, linked folders not entered. Raises `UserError` if there are no pictures.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder; --images must name a folder of pictures")
    found: list[str] = []
    for root, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        below = Path(root).relative_to(folder).as_posix()
        start = "" if below == "." else f"{below}/"
        found += (
            start + name for name in files if not name.startswith(".") and os.path.splitext(name)[1].lower() in SUFFIXES
        )
    if not found:
        raise UserError(f"{folder} holds no pictures; looked for {' '.join(sorted(SUFFIXES))}")
    return sorted(found, key=lambda name: name.split("/"))


def class_names(names: list[str]) -> list[str]:
    """The first-level folders of the pictures, sorted: class k is the k-th. Empty if a picture lies in none of them."""
    return sorted({name.partition("/")[0] for name in names}) if all("/" in name for name in names) else []


def _look(folder: Path, items: Iterable[Item], count: int, size_too: bool) -> tuple[tuple[int, int], bool]:
    """The (height, width) of all readable pictures, if it is asked for, and whether they are all grey.

    Raises `UserError` if the sizes differ.
    """
    sizes: dict[tuple[int, int], str] = {}
    all_grey = True
    for item, (size, grey) in headers(items, count, size_too):
        sizes.setdefault(size, item.id)
        all_grey &= grey
        if not size_too and not grey:
            break  # one in colour settles it
    if size_too and len(sizes) > 1:
        (first, one), (second, other), *_ = sizes.items()
        raise UserError(
            f"the pictures in {folder} have {len(sizes)} sizes, {first[1]} x {first[0]} ({one}) and "
            f"{second[1]} x {second[0]} ({other}) among them; choose one with --size, such as --size 64"
        )
    return next(iter(sizes), (1, 1)), all_grey
