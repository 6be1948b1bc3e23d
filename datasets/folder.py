"""A folder of the user's own pictures. The folders right below it, if the pictures lie in such, are their classes."""

import logging
import os
import warnings
from collections import deque
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image
from tqdm import tqdm

from datasets.picture import SUFFIXES, PictureError, decode, header
from glo.block import Block
from glo.errors import UserError

BLOCK_IMAGES = 512
BLOCK_BYTES = 64 << 20  # large pictures make blocks of fewer images
WORKERS = min(8, os.cpu_count() or 1)
NAMED = 20  # unreadable pictures that are named; the others are counted

Result = TypeVar("Result")
log = logging.getLogger("glo")


def pictures(folder: Path) -> list[Path]:
    """All picture files below `folder`, told by suffix, in a fixed order.

    Hidden files and folders are left out, linked folders not entered. Raises `UserError` if there are no pictures.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder; --images must name a folder of pictures")
    found: list[Path] = []
    for root, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += (
            Path(root, name) for name in files if not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES
        )
    if not found:
        raise UserError(f"{folder} holds no pictures; looked for {' '.join(sorted(SUFFIXES))}")
    return sorted(found, key=lambda path: path.relative_to(folder).parts)


def class_names(folder: Path) -> list[str]:
    """The names of the first-level folders with pictures, sorted: class k is the k-th. Empty if there are none.

    Pictures that lie beside such folders have no class, and then nobody has one. Raises `UserError` as `pictures`.
    """
    parts = [path.relative_to(folder).parts for path in pictures(folder)]
    return [] if any(len(part) == 1 for part in parts) else sorted({part[0] for part in parts})


def blocks(folder: Path, size: tuple[int, int] | None = None, channels: int | None = None) -> Iterator[Block]:
    """The pictures below `folder` in blocks of at most `BLOCK_IMAGES`: images, ids, and labels if there are classes.

    size: (height, width) to resize and centre-crop to; None takes them as they are, if all have one size.
    channels: 1 or 3; None is 1 if every picture is grey, else 3.
    ids: the path below `folder`, with forward slashes and without line breaks.
    Unreadable pictures are left out, and named in a warning at the end.
    Raises `UserError` if none can be read, if the sizes differ and none is given, and as `pictures`.
    """
    paths = pictures(folder)
    names = class_names(folder)
    if not names and any(path.parent != folder for path in paths):
        log.warning("%s: pictures lie beside the folders, so these are not taken as classes", folder)
    readable, unreadable = _look(folder, paths, size)
    if channels is None:
        channels = 1 if all(grey for _, grey in readable.values()) else 3
    images, labels, ids = [], [], []
    for path, image in _in_order(lambda path: _attempt(decode, path, size, channels), readable, "decoding"):
        if isinstance(image, str):
            unreadable[path] = image
            continue
        images.append(image)
        ids.append(_identity(path.relative_to(folder)))
        labels.append(names.index(path.relative_to(folder).parts[0]) if names else 0)
        if len(images) == BLOCK_IMAGES or len(images) * image.nbytes >= BLOCK_BYTES:
            yield _block(images, labels if names else None, ids)
            images, labels, ids = [], [], []
    if images:
        yield _block(images, labels if names else None, ids)
    _report(folder, len(paths), unreadable)


def read(folder: Path, size: tuple[int, int], channels: int) -> tuple[np.ndarray, list[str]]:
    """All of `blocks` at once: images uint8 [n, height, width, channels], and their ids."""
    found = list(blocks(folder, size, channels))
    return np.concatenate([block.images for block in found]), [name for block in found for name in block.ids]


def _look(
    folder: Path, paths: list[Path], size: tuple[int, int] | None
) -> tuple[dict[Path, tuple[tuple[int, int], bool]], dict[Path, str]]:
    """Read all headers: the readable pictures with their (height, width) and greyness, the others with the reason."""
    readable, unreadable = {}, {}
    with warnings.catch_warnings():
        # Pillow warns of pictures that are too large just before we leave them out.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        for path, seen in _in_order(lambda path: _attempt(header, path, size is None), paths, "looking"):
            (unreadable if isinstance(seen, str) else readable)[path] = seen
    if not readable:
        _report(folder, len(paths), unreadable)
    sizes = {seen: path for path, (seen, _) in readable.items()}
    if size is None and len(sizes) > 1:
        (first, one), (second, other), *_ = sizes.items()
        raise UserError(
            f"the pictures in {folder} have {len(sizes)} sizes, {first[1]} x {first[0]} ({one.name}) and "
            f"{second[1]} x {second[0]} ({other.name}) among them; choose one with --size, such as --size 64"
        )
    return readable, unreadable


def _report(folder: Path, total: int, unreadable: dict[Path, str]) -> None:
    """Warn of the pictures that were left out. Raises `UserError` if that is all of them."""
    for path, reason in list(unreadable.items())[:NAMED]:
        log.warning("unreadable: %s: %s", _identity(path.relative_to(folder)), reason)
    if len(unreadable) == total:
        path, reason = next(iter(unreadable.items()))
        raise UserError(f"none of the {total} pictures in {folder} can be read; {path.name}: {reason}")
    if unreadable:
        log.warning("%d of %d pictures in %s are unreadable and left out", len(unreadable), total, folder)


def _attempt(function: Callable[..., Result], *arguments: object) -> Result | str:
    """The result of `function`, or why the picture cannot be read."""
    try:
        return function(*arguments)
    except PictureError as error:
        return str(error)


def _in_order(function: Callable[[Path], Result], paths: Collection[Path], verb: str) -> Iterator[tuple[Path, Result]]:
    """Each path with its result, in order, worked on by threads; few in flight, so that memory is bounded."""
    waiting: deque[tuple[Path, Future[Result]]] = deque()
    with (
        ThreadPoolExecutor(WORKERS) as pool,  # Pillow lets go of the interpreter while it decodes
        tqdm(desc=verb, total=len(paths), unit="img", disable=None) as bar,
    ):
        for path in paths:
            waiting.append((path, pool.submit(function, path)))
            if len(waiting) > 2 * WORKERS:
                first, future = waiting.popleft()
                yield first, future.result()
                bar.update()
        while waiting:
            first, future = waiting.popleft()
            yield first, future.result()
            bar.update()


def _identity(path: Path) -> str:
    """A relative path as an id: one line, and writable as UTF-8 even if the file name is not."""
    return "_".join(path.as_posix().splitlines()).encode(errors="backslashreplace").decode()


def _block(images: list[np.ndarray], labels: list[int] | None, ids: list[str]) -> Block:
    return Block(np.stack(images), labels=None if labels is None else np.array(labels, np.int32), ids=ids)
