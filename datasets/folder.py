"""A folder of the user's own pictures. If all pictures are in subfolders, the first-level subfolders are classes."""

import logging
import math
import os
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import numpy as np

from datasets.decoding import Collection, Item, headers, identity
from datasets.picture import SUFFIXES
from glo.building import selection
from glo.runtime import memory
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
    """The pictures in `folder` and its subfolders. Ids are relative paths with forward slashes and no line breaks.

    Links to pictures are followed; the log says how many of them are outside `folder`.

    size: (height, width) to which pictures are resized and centre-cropped; None keeps their size, which must be equal.
    channels: 1 or 3; None means 1 if all pictures are grey, else 3.
    labels, max_samples, seed: select some of the pictures, see `glo.building.selection`.
    Raises `UserError` if there are no pictures, if their sizes differ and `size` is None, if one of `labels` is
    unknown, or if two pictures or classes would have the same name.
    """
    names = pictures(folder)
    if len(set(map(identity, names))) < len(names):
        raise UserError(f"two pictures in {folder} have names that differ only in line breaks; rename one of them")
    folders = class_names(names)
    classes = [identity(name) for name in folders]
    if len(set(classes)) < len(classes):
        raise UserError(f"two class folders in {folder} have names that differ only in line breaks; rename one of them")
    if not classes and any("/" in name for name in names):
        log.warning("%s: some pictures are not in subfolders, so subfolders are not used as classes", folder)
    if labels and not classes:
        raise UserError(f"--labels {labels}: the pictures in {folder} are not in folders of classes; drop it")
    if labels:
        wanted = {folders[label] for label in selection.parse_labels(labels, classes)}
        names = [name for name in names if name.partition("/")[0] in wanted]
    names = [names[row] for row in selection.choose(np.zeros(len(names)), max_samples, seed)]
    report_links(folder, names)
    number = {name: label for label, name in enumerate(folders)}

    def items(skip: int) -> Iterable[Item]:
        for name in islice(names, skip, None):
            yield Item(identity(name), folder / name, number.get(name.partition("/")[0]))

    if size is None or channels is None:
        common_size, grey = _inspect(folder, items(0), len(names), size is None)
        shape = (*(size or common_size), channels or (1 if grey else 3))
    else:
        shape = (*size, channels)
    return Collection(str(folder), items, len(names), shape, size is not None, None, classes)


def read(folder: Path, size: tuple[int, int], channels: int) -> tuple[np.ndarray, list[str]]:
    """Read all pictures of a folder. Returns images uint8 [n, height, width, channels] and their ids.

    Raises `UserError` as `collection` does, if the images do not fit into memory, and if no picture can be read.
    """
    pictures = collection(folder, size, channels)
    memory.require(2 * pictures.count * math.prod(pictures.shape), str(folder))
    blocks = list(pictures.blocks())
    return np.concatenate([block.images for block in blocks]), [name for block in blocks for name in block.ids]


def pictures(folder: Path) -> list[str]:
    """The relative paths of all files with a picture suffix in `folder` and its subfolders, with forward slashes.

    They are sorted by folder, then by name. Hidden files and folders and links to folders are skipped. Subfolders that
    cannot be read are left out with a warning.
    Raises `UserError` if there are no pictures, or if the folder cannot be read.
    """
    log.info("listing the pictures in %s", folder)
    names: list[str] = []
    unreadable: list[OSError] = []
    for root, folders, files in os.walk(folder, onerror=unreadable.append):
        folders[:] = [name for name in folders if not name.startswith(".")]
        relative = Path(root).relative_to(folder).as_posix()
        prefix = "" if relative == "." else f"{relative}/"
        visible = (name for name in files if not name.startswith("."))
        names += (prefix + name for name in visible if os.path.splitext(name)[1].lower() in SUFFIXES)
    top_error = next((error for error in unreadable if error.filename == str(folder)), None)
    if isinstance(top_error, FileNotFoundError | NotADirectoryError):
        raise UserError(f"{folder} is not a folder; --images must name a folder of pictures")
    if unreadable and not names:
        error = top_error or unreadable[0]
        raise UserError(
            f"cannot read {error.filename}: {error.strerror}; change its permissions or name another folder"
        )
    for error in unreadable:
        log.warning("cannot read %s (%s): its pictures are left out", error.filename, error.strerror)
    if not names:
        raise UserError(f"{folder} holds no pictures; looked for {' '.join(sorted(SUFFIXES))}")
    return sorted(names, key=lambda name: name.split("/"))


def class_names(names: list[str]) -> list[str]:
    """The first-level subfolders of the pictures, sorted; the k-th is the name of label k.

    names: as `pictures` returns them. The list is empty if a picture is not in a subfolder.
    """
    return sorted({name.partition("/")[0] for name in names}) if all("/" in name for name in names) else []


def report_links(folder: Path, names: list[str]) -> None:
    """Log how many of the files are links to files outside `folder`. names: relative paths of the files."""
    top = os.path.realpath(folder)
    links = (os.path.realpath(path) for name in names if os.path.islink(path := os.path.join(folder, name)))
    outside = sum(os.path.commonpath([top, target]) != top for target in links)
    if outside:
        log.info("%s: %d of %d pictures are links to files outside it, which are followed", folder, outside, len(names))


def _inspect(folder: Path, items: Iterable[Item], count: int, need_size: bool) -> tuple[tuple[int, int], bool]:
    """The common (height, width) of all readable pictures, and whether all of them are grey.

    Without `need_size`, the size is meaningless, and reading stops at the first picture in colour.
    Raises `UserError` if `need_size` and the sizes differ.
    """
    sizes: dict[tuple[int, int], str] = {}  # with the id of a picture of each size
    all_grey = True
    for item, (size, grey) in headers(items, count, need_size):
        sizes.setdefault(size, item.id)
        all_grey &= grey
        if not need_size and not grey:
            break
    if need_size and len(sizes) > 1:
        (first, first_id), (second, second_id), *_ = sizes.items()
        raise UserError(
            f"the pictures in {folder} have {len(sizes)} sizes, such as {first[1]} x {first[0]} ({first_id}) and "
            f"{second[1]} x {second[0]} ({second_id}); choose one with --size, such as --size 64"
        )
    return next(iter(sizes), (1, 1)), all_grey
