"""A dataset in memory: images, initial codes, the split, and the seeded order of the batches."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from glo import flat, grouped, h5, paths
from glo.block import TEST, TRAIN, Block
from glo.errors import UserError
from glo.log import logger


@dataclass(frozen=True)
class Dataset:
    """What a dataset file holds, and which rows are trained on.

    images: uint8 [N, H, W, C]. codes: float32 [N, d], the initial ones. labels: int32 [N] or None. ids: N texts.
    split: uint8 [N], 0 train, 1 test.
    train_rows, test_rows: int64, ascending; max_samples leaves the other training rows out.
    fingerprint: SHA-256 of shape and pixels in row order.
    """

    path: Path
    images: np.ndarray
    codes: np.ndarray
    labels: np.ndarray | None
    ids: list[str]
    split: np.ndarray
    train_rows: np.ndarray
    test_rows: np.ndarray
    fingerprint: str

    @property
    def image_shape(self) -> tuple[int, int, int]:
        return self.images.shape[1:]

    @property
    def dimension(self) -> int:
        return self.codes.shape[1]


def load(data_dir: str, name: str, test_fraction: float, seed: int, max_samples: int | None = None) -> Dataset:
    """Read and check a dataset, in either layout.

    A file without a split gets a seeded one with `test_fraction` held out. `max_samples` keeps the first training rows
    of the seeded order. Raises `UserError` for whatever is missing, damaged or inconsistent.
    """
    folder = paths.dataset_folder(data_dir, name)
    path = paths.dataset_file(folder)
    if path is None:
        place = "" if data_dir == "datasets" else f" --data_dir {data_dir}"
        raise UserError(
            f"no dataset {name} in {folder}: type python download.py --datasets {name}{place}, "
            "or see README.md for your own data"
        )
    block, fingerprint = read(path)
    split = block.split
    if split is None:
        split = seeded_split(len(block.images), test_fraction, seed)
    train_rows, test_rows = np.flatnonzero(split == TRAIN), np.flatnonzero(split == TEST)
    if len(train_rows) == 0:
        raise UserError(f"{path} holds no training images: every row is in the test split")
    if max_samples is not None:
        train_rows = np.sort(train_rows[permutation(len(train_rows), seed, _SUBSET)[:max_samples]])
    return Dataset(
        path, block.images, block.codes, block.labels, block.ids, split, train_rows, test_rows, fingerprint
    )  # fmt: skip


def read(path: Path) -> tuple[Block, str]:
    """All that a dataset file of either layout holds, with ids and codes, and the fingerprint of its images.

    Raises `UserError` for whatever is damaged or inconsistent.
    """
    with h5.opened(path) as file, np.errstate(over="ignore"):  # codes too large for float32 are refused below
        if len(file) == 0:
            raise UserError(f"{path} holds no images")
        block, recorded = flat.read(file, path) if flat.holds(file) else (grouped.read(file, path), None)
    finite = np.isfinite(block.codes).all(axis=1)
    if not finite.all():
        row = int(np.argmin(finite))
        raise UserError(f"{path}: the code of row {row} (id '{block.ids[row]}') is not finite: build the dataset again")
    fingerprint = flat.Fingerprint(block.images.shape[1:])
    fingerprint.update(block.images)
    if recorded not in (None, fingerprint.hexdigest()):
        raise UserError(f"{path} is damaged: its images do not match their fingerprint; build it again with --force")
    return block, fingerprint.hexdigest()


# Streams keep draws that share a seed independent of one another. Epochs count from 0.
_SPLIT, _SUBSET, GRID = 2**63 - 1, 2**63 - 2, 2**63 - 3


def permutation(n: int, seed: int, stream: int) -> np.ndarray:
    """A permutation of range(n), int64, that is a pure function of its arguments."""
    return np.random.Generator(np.random.Philox(key=[seed, stream])).permutation(n)


def seeded_split(n: int, test_fraction: float, seed: int) -> np.ndarray:
    """uint8 [n], TEST for the seeded share of rows that is held out; at least one row of each if n allows."""
    held_out = min(max(round(n * test_fraction), 1), n - 1) if test_fraction > 0 else 0
    split = np.full(n, TRAIN, np.uint8)
    split[permutation(n, seed, _SPLIT)[:held_out]] = TEST
    return split


def steps_per_epoch(n: int, batch_size: int) -> int:
    """Batches that visit every one of n samples once; the last may be partial."""
    return -(-n // batch_size)


def batches(n: int, batch_size: int, seed: int, start: int) -> Iterator[np.ndarray]:
    """Endless batches of indices below n, int64, from step `start` on (0 is the first).

    Each epoch visits every index once, in an order that depends on (seed, epoch) alone, so that a resumed run
    continues with the very batch that an uninterrupted one would take. The last batch of an epoch may be partial.
    """
    per_epoch = steps_per_epoch(n, batch_size)
    epoch, first = divmod(start, per_epoch)
    while True:
        order = permutation(n, seed, epoch)
        for index in range(first, per_epoch):
            yield order[index * batch_size : (index + 1) * batch_size]
        epoch, first = epoch + 1, 0


def announce(dataset: Dataset) -> None:
    """One log line that says what was read."""
    height, width, channels = dataset.image_shape
    logger.info(
        "%s: %d train and %d held-out images %dx%dx%d, codes of %d",
        dataset.path, len(dataset.train_rows), len(dataset.test_rows), height, width, channels, dataset.dimension,
    )  # fmt: skip
