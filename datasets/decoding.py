"""Collections of pictures: decoded on all cores, in order, into blocks as they come, in little memory."""

import logging
import math
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from tqdm import tqdm

from datasets.picture import PictureError, decode, header
from glo.data.block import Block
from glo.runtime.errors import UserError

BLOCK_IMAGES = 512
BLOCK_BYTES = 64 << 20  # large pictures make blocks of fewer images
WORKERS = os.cpu_count() or 1  # threads: Pillow lets go of the interpreter while it decodes and resizes
HELD_BYTES = 256 << 20  # of decoded pixels that wait for their turn
TASK = 32  # pictures that a thread takes at once
TASK_BYTES = 4 << 20  # a task is full as well at this many bytes, of files in memory or of pixels
AHEAD = 8 * WORKERS  # tasks that are done before their turn, at most: enough to go on while a block is written
NAMED = 20  # unreadable pictures that are named; the others are counted

Task, Result = TypeVar("Task"), TypeVar("Result")
log = logging.getLogger("glo")


class Item(NamedTuple):
    """One picture of a collection, not yet read.

    source: the file, its bytes, or a function that gives them and may raise `PictureError`; threads call it.
    label, split: of `glo.block.Block`, None where the collection has none. attributes: int8 [A], 0 or 1, or None.
    """

    id: str
    source: Path | bytes | Callable[[], bytes]
    label: int | None = None
    split: int | None = None
    attributes: np.ndarray | None = None

    def content(self) -> Path | bytes:
        return self.source() if callable(self.source) else self.source


@dataclass(frozen=True)
class Collection:
    """Pictures in a fixed order.

    where: what errors and warnings call it. items: given how many to leave out at the start, those that follow.
    count: of all items. shape: (height, width, channels) of the images; `resize=False` takes only those that have it.
    crop: side of the central square that is kept of every picture before it is resized; None keeps all of it.
    class_names: of label 0, 1, ... attribute_names: in the order of `Item.attributes`.
    """

    where: str
    items: Callable[[int], Iterable[Item]]
    count: int
    shape: tuple[int, int, int]
    resize: bool = True
    crop: int | None = None
    class_names: list[str] = field(default_factory=list)
    attribute_names: list[str] = field(default_factory=list)

    def blocks(self, skip: int = 0) -> Iterator[Block]:
        """The pictures after the first `skip` items in blocks of at most `BLOCK_IMAGES`, with a progress bar.

        Unreadable ones are left out, and named in a warning at the end; `Block.items_consumed` counts them.
        Raises `UserError` if none at all can be read.
        """
        images, items, items_consumed, unreadable, reasons = [], [], 0, 0, []
        image_bytes = math.prod(self.shape)
        most = min(BLOCK_IMAGES, max(1, BLOCK_BYTES // image_bytes))
        tasks, ahead = _tasks(self.items(skip), image_bytes), HELD_BYTES // max(image_bytes, TASK_BYTES)
        with tqdm(desc="decoding", total=self.count, initial=skip, unit="img", disable=None) as bar:
            for task, decoded in in_order(self._decoded, tasks, ahead):
                for item, image in zip(task, decoded, strict=True):
                    items_consumed += 1
                    if isinstance(image, str):
                        unreadable += 1
                        reasons += [(item.id, image)] if unreadable <= NAMED else []
                        continue
                    images.append(image)
                    items.append(item)
                    if len(images) == most:
                        yield _block(images, items, items_consumed)
                        images, items, items_consumed = [], [], 0
                bar.update(len(task))
        if images:
            yield _block(images, items, items_consumed)
        self._report(skip, unreadable, reasons)

    def _decoded(self, task: list[Item]) -> list[np.ndarray | str]:
        """The pixels of each, or why it cannot be read."""
        return [attempt(self._pixels, item) for item in task]

    def _pixels(self, item: Item) -> np.ndarray:
        height, width, channels = self.shape
        pixels = decode(item.content(), (height, width) if self.resize else None, channels, crop=self.crop)
        if pixels.shape != self.shape:
            raise PictureError(f"{pixels.shape[1]} x {pixels.shape[0]} pixels instead of {width} x {height}")
        return pixels

    def _report(self, skip: int, unreadable: int, reasons: list[tuple[str, str]]) -> None:
        """Warn of what was left out. Raises `UserError` if that is everything."""
        for name, reason in reasons:
            log.warning("unreadable: %s: %s", name, reason)
        if unreadable == self.count:
            raise UserError(f"none of the {self.count} pictures in {self.where} can be read; {': '.join(reasons[0])}")
        if unreadable:
            whole = self.count - skip
            log.warning("%d of %d pictures in %s are unreadable and left out", unreadable, whole, self.where)


def headers(items: Iterable[Item], count: int, oriented: bool) -> Iterator[tuple[Item, tuple[tuple[int, int], bool]]]:
    """Each readable item with its (height, width) and whether it is grey, as `datasets.picture.header` says."""

    def look(task: list[Item]) -> list[tuple[tuple[int, int], bool] | str]:
        return [attempt(lambda item: header(item.content(), oriented), item) for item in task]

    with tqdm(desc="looking", total=count, unit="img", disable=None) as bar:
        for task, seen in in_order(look, _tasks(items, 0)):
            yield from ((item, found) for item, found in zip(task, seen, strict=True) if not isinstance(found, str))
            bar.update(len(task))


def attempt(function: Callable[[Item], Result], item: Item) -> Result | str:
    """The result of `function`, or why the picture cannot be read."""
    try:
        return function(item)
    except PictureError as error:
        return str(error)


def in_order(
    function: Callable[[Task], Result], tasks: Iterable[Task], ahead: int = AHEAD
) -> Iterator[tuple[Task, Result]]:
    """Each task with its result, in order, worked on by threads; up to `ahead` wait, so that memory is bounded."""
    ahead = max(WORKERS, min(AHEAD, ahead))
    waiting: deque[tuple[Task, Future[Result]]] = deque()
    pool = ThreadPoolExecutor(WORKERS)
    try:
        for task in tasks:
            waiting.append((task, pool.submit(function, task)))
            if len(waiting) > ahead:
                first, future = waiting.popleft()
                yield first, future.result()
        while waiting:
            first, future = waiting.popleft()
            yield first, future.result()
    finally:
        pool.shutdown(cancel_futures=True)  # who stops reading, such as after Ctrl-C, waits for no more of them


def _tasks(items: Iterable[Item], image_bytes: int) -> Iterator[list[Item]]:
    """Items in groups of up to `TASK`, fewer if they hold large files or make large images."""
    task, held = [], 0
    for item in items:
        task.append(item)
        held += image_bytes + (len(item.source) if isinstance(item.source, bytes) else 0)
        if len(task) == TASK or held >= TASK_BYTES:
            yield task
            task, held = [], 0
    if task:
        yield task


def identity(name: str) -> str:
    """A name as an id: one line, and writable as UTF-8 even if the name is not."""
    return "_".join(name.splitlines()).encode(errors="backslashreplace").decode()


def _block(images: list[np.ndarray], items: list[Item], items_consumed: int) -> Block:
    def column(name: str, dtype: type) -> np.ndarray | None:
        values = [getattr(item, name) for item in items]
        return None if values[0] is None else np.array(values, dtype)

    return Block(
        np.stack(images),
        split=column("split", np.uint8),
        labels=column("label", np.int32),
        ids=[item.id for item in items],
        attributes=column("attributes", np.int8),
        items_consumed=items_consumed,
    )
