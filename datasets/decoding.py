"""Collections of pictures. They are decoded by several threads, in order, into blocks of bounded size."""

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
WORKERS = os.cpu_count() or 1  # threads: Pillow releases the interpreter lock while it decodes and resizes
AHEAD_BYTES = 256 << 20  # of decoded pixels that wait to be yielded
TASK = 32  # pictures in a task of one thread, at most
TASK_BYTES = 4 << 20  # limit of a task, for the bytes of files in memory plus the bytes of decoded pixels
AHEAD = 8 * WORKERS  # tasks that may wait or run ahead: enough to keep all threads busy while a block is written
MAX_WARNINGS = 20  # unreadable pictures that are listed in warnings; the others are only counted

Task, Result = TypeVar("Task"), TypeVar("Result")
log = logging.getLogger("glo")


class Item(NamedTuple):
    """A picture of a collection, which is not read yet.

    source: the path of the file, its bytes, or a function that returns its bytes and may raise `PictureError`. The
        function is called by other threads.
    label, split, attributes: the row of `glo.data.block.Block.labels`, `split` and `attributes` (int8 [A], 0 or 1);
        None if the collection has none.
    """

    id: str
    source: Path | bytes | Callable[[], bytes]
    label: int | None = None
    split: int | None = None
    attributes: np.ndarray | None = None

    def content(self) -> Path | bytes:
        """The path or the bytes of the picture."""
        return self.source() if callable(self.source) else self.source


@dataclass(frozen=True)
class Collection:
    """Pictures in a fixed order.

    where: the name of the collection in errors and warnings.
    items: a function of the number of items to skip, which returns the items after them.
    count: the number of all items.
    shape: (height, width, channels) of the images.
    resize: whether pictures are resized to `shape`; if not, pictures of another size count as unreadable.
    crop: side in pixels of the central square to which pictures are cropped before they are resized; None: no crop.
    class_names: of label 0, 1, ... attribute_names: of the columns of `Item.attributes`.
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
        """Yield the pictures after the first `skip` items in blocks of at most `BLOCK_IMAGES`, with a progress bar.

        Unreadable pictures are left out and listed in warnings at the end. `Block.items_consumed` counts them too.
        Raises `UserError` if no picture of the collection can be read.
        """
        images, items, items_consumed, unreadable, reasons = [], [], 0, 0, []
        image_bytes = math.prod(self.shape)
        block_images = min(BLOCK_IMAGES, max(1, BLOCK_BYTES // image_bytes))
        tasks, ahead = _tasks(self.items(skip), image_bytes), AHEAD_BYTES // max(image_bytes, TASK_BYTES)
        log.info("decoding %d pictures in %s", self.count - skip, self.where)
        with tqdm(desc="decoding", total=self.count, initial=skip, unit="img", disable=None) as bar:
            for task, decoded in in_order(self._decoded, tasks, ahead):
                for item, image in zip(task, decoded, strict=True):
                    items_consumed += 1
                    if isinstance(image, str):
                        unreadable += 1
                        reasons += [(item.id, image)] if unreadable <= MAX_WARNINGS else []
                        continue
                    images.append(image)
                    items.append(item)
                    if len(images) == block_images:
                        yield _block(images, items, items_consumed)
                        images, items, items_consumed = [], [], 0
                bar.update(len(task))
        if images:
            yield _block(images, items, items_consumed)
        self._report(skip, unreadable, reasons)

    def _decoded(self, task: list[Item]) -> list[np.ndarray | str]:
        """The pixels of each item, uint8 [height, width, channels], or the reason why it cannot be read."""
        return [attempt(self._pixels, item) for item in task]

    def _pixels(self, item: Item) -> np.ndarray:
        height, width, channels = self.shape
        pixels = decode(item.content(), (height, width) if self.resize else None, channels, crop=self.crop)
        if pixels.shape != self.shape:
            raise PictureError(f"{pixels.shape[1]} x {pixels.shape[0]} pixels instead of {width} x {height}")
        return pixels

    def _report(self, skip: int, unreadable: int, reasons: list[tuple[str, str]]) -> None:
        """Log warnings for unreadable pictures. Raises `UserError` if the whole collection is unreadable."""
        for name, reason in reasons:
            log.warning("unreadable: %s: %s", name, reason)
        if unreadable == self.count:
            raise UserError(f"none of the {self.count} pictures in {self.where} can be read; {': '.join(reasons[0])}")
        if unreadable:
            count = self.count - skip
            log.warning("%d of %d pictures in %s are unreadable and left out", unreadable, count, self.where)


def headers(items: Iterable[Item], count: int, oriented: bool) -> Iterator[tuple[Item, tuple[tuple[int, int], bool]]]:
    """Yield each readable item with its (height, width) and whether it is grey, as `datasets.picture.header` does."""

    def read(task: list[Item]) -> list[tuple[tuple[int, int], bool] | str]:
        return [attempt(lambda item: header(item.content(), oriented), item) for item in task]

    log.info("reading the sizes of %d pictures", count)
    with tqdm(desc="reading sizes", total=count, unit="img", disable=None) as bar:
        for task, results in in_order(read, _tasks(items, 0)):
            yield from (
                (item, result) for item, result in zip(task, results, strict=True) if not isinstance(result, str)
            )
            bar.update(len(task))


def attempt(function: Callable[[Item], Result], item: Item) -> Result | str:
    """The result of `function(item)`, or the text of the `PictureError` that it raises."""
    try:
        return function(item)
    except PictureError as error:
        return str(error)


def in_order(
    function: Callable[[Task], Result], tasks: Iterable[Task], ahead: int = AHEAD
) -> Iterator[tuple[Task, Result]]:
    """Apply a function to tasks in several threads. Yields each task with its result, in the order of the tasks.

    ahead: the largest number of tasks that are submitted before their turn, which bounds the memory.
    """
    ahead = max(WORKERS, min(AHEAD, ahead))
    submitted: deque[tuple[Task, Future[Result]]] = deque()
    pool = ThreadPoolExecutor(WORKERS)
    try:
        for task in tasks:
            submitted.append((task, pool.submit(function, task)))
            if len(submitted) > ahead:
                first, future = submitted.popleft()
                yield first, future.result()
        while submitted:
            first, future = submitted.popleft()
            yield first, future.result()
    finally:
        pool.shutdown(
            cancel_futures=True
        )  # a caller that stops early, such as after Ctrl-C, waits for running tasks only


def _tasks(items: Iterable[Item], image_bytes: int) -> Iterator[list[Item]]:
    """Items in groups of at most `TASK`; smaller groups if their files in memory and their images are large."""
    task, task_bytes = [], 0
    for item in items:
        task.append(item)
        task_bytes += image_bytes + (len(item.source) if isinstance(item.source, bytes) else 0)
        if len(task) == TASK or task_bytes >= TASK_BYTES:
            yield task
            task, task_bytes = [], 0
    if task:
        yield task


def identity(name: str) -> str:
    """The id for a file name: without line breaks, and valid UTF-8 even if the file name is not."""
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
