"""The dataset a run trains on: images and codes, the split, and the rows that are trained on."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from glo.data import array_layout, group_layout, safe_hdf5
from glo.data.block import TEST, TRAIN, Block
from glo.data.lazy_array import Rows, Stored
from glo.data.randomness import Stream, permutation
from glo.runtime import memory, paths
from glo.runtime.errors import UserError
from glo.runtime.log import logger
from glo.settings import TrainSettings

PART_BYTES = 1 << 26


@dataclass(frozen=True)
class Dataset:
    """What a dataset file holds, and which rows are trained on.

    images: uint8 [N, H, W, C]. codes: float32 [N, d], the initial ones. Both are in memory, or both in the file.
    labels: int32 [N] or None. label_names: of label 0, 1, ...; empty if they have none.
    attributes: int8 [N, A], 0 or 1, or None. attribute_names: A of them.
    split: uint8 [N], 0 train, 1 test, 2 validation, which nothing here trains on or is measured by.
    train_rows, test_rows: int64, ascending; max_samples leaves the other training rows out.
    fingerprint: SHA-256 of shape and pixels in row order.
    """

    path: Path
    images: np.ndarray | Stored
    codes: np.ndarray | Stored
    labels: np.ndarray | None
    label_names: tuple[str, ...]
    attributes: np.ndarray | None
    attribute_names: tuple[str, ...]
    split: np.ndarray
    train_rows: np.ndarray
    test_rows: np.ndarray
    fingerprint: str

    def __str__(self) -> str:
        """What was read, in one line for the log."""
        size = "x".join(map(str, self.image_shape))
        counts = f"{len(self.train_rows)} train and {len(self.test_rows)} held-out images"
        return f"{self.path}: {counts} {size}, codes of {self.dimension}"

    @property
    def image_shape(self) -> tuple[int, int, int]:
        return self.images.shape[1:]

    @property
    def dimension(self) -> int:
        return self.codes.shape[1]

    @property
    def train_images(self) -> Rows:
        """uint8 [n, H, W, C], in the order of the code table."""
        return Rows(self.images, self.train_rows)

    @property
    def train_codes(self) -> Rows:
        """The initial codes float32 [n, d] of the training images."""
        return Rows(self.codes, self.train_rows)


def load_dataset(settings: TrainSettings) -> Dataset:
    """Read and check the dataset that settings name, in either layout.

    A file without a split gets a seeded one with `test_fraction` held out. `max_samples` keeps the first training rows
    of the seeded order. Images that take more than `memory_limit` (default: half of the free memory) stay in the file.
    `dimension` keeps that many leading coordinates of the codes.
    Raises `UserError` for whatever is missing, damaged or inconsistent.
    """
    path = locate_dataset(settings.data_dir, settings.dataset)
    limit = memory.available() // 2 if settings.memory_limit is None else memory.parse_size(settings.memory_limit)
    block, fingerprint = read_dataset(path, limit)
    if isinstance(block.images, Stored):
        size = math.prod(block.images.shape) / 1e9
        logger.info("the images of %s take %.1f GB: they stay in the file and are read as needed", path, size)
    split = block.split
    if split is None:
        split = seeded_split(len(block.images), settings.test_fraction, settings.seed)
    train_rows, test_rows = np.flatnonzero(split == TRAIN), np.flatnonzero(split == TEST)
    if len(train_rows) == 0:
        raise UserError(f"{path} holds no training images: every row is in the test split")
    if settings.max_samples is not None:
        order = permutation(len(train_rows), settings.seed, Stream.SUBSET)
        train_rows = np.sort(train_rows[order[: settings.max_samples]])
    codes = block.codes
    if settings.dimension is not None:
        if settings.dimension > codes.shape[1]:
            raise UserError(
                f"--dimension {settings.dimension}: the codes in {path} have {codes.shape[1]} dimensions; "
                f"give --dimension {codes.shape[1]} or less"
            )
        codes = codes.leading(settings.dimension) if isinstance(codes, Stored) else codes[:, : settings.dimension]
    with safe_hdf5.opened(path) as file:
        label_names = array_layout.names(file, "label_names")
        attribute_names = array_layout.names(file, "attribute_names")
    if block.attributes is not None and len(attribute_names) != block.attributes.shape[1]:
        raise UserError(
            f"{path} names {len(attribute_names)} attributes and holds {block.attributes.shape[1]}: build it again"
        )
    return Dataset(
        path, block.images, codes, block.labels, label_names, block.attributes, attribute_names, split,
        train_rows, test_rows, fingerprint,
    )  # fmt: skip


def locate_dataset(data_dir: str, name: str) -> Path:
    """The data file of a dataset. Raises `UserError` if there is none."""
    folder = paths.dataset_folder(data_dir, name)
    path = paths.dataset_file(folder)
    if path is None:
        place = "" if data_dir == "datasets" else f" --data_dir {data_dir}"
        raise UserError(
            f"no dataset {name} in {folder}: type python download.py --datasets {name}{place}, "
            "or see README.md for your own data"
        )
    return path


def read_dataset(path: Path, memory_limit: int | None = None) -> tuple[Block, str]:
    """All that a dataset file of either layout holds, and the fingerprint of its images; ids unless there are none.

    Images that take more bytes than `memory_limit` (None: any number) stay in the file, with the codes.
    Raises `UserError` for whatever is damaged or inconsistent.
    """
    limit = np.inf if memory_limit is None else memory_limit
    with safe_hdf5.opened(path) as file, np.errstate(over="ignore"):  # codes too large for float32 are refused below
        if len(file) == 0:
            raise UserError(f"{path} holds no images")
        if array_layout.holds(file):
            block, recorded = array_layout.read(file, path, limit)
        else:
            block, recorded = group_layout.read(file, path, limit), None
        for part in parts(block.codes, "codes"):
            finite = np.isfinite(block.codes[part]).all(axis=1)
            if not finite.all():
                row = part.start + int(np.argmin(finite))
                name = f" (id '{block.ids[row]}')" if block.ids else ""
                raise UserError(f"{path}: the code of row {row}{name} is not finite: build the dataset again")
    if recorded and isinstance(block.images, Stored):
        return block, recorded  # hashing a file of any size would take too long; its chunks have checksums
    fingerprint = array_layout.Fingerprint(block.images.shape[1:])
    for part in parts(block.images, "images"):
        fingerprint.update(block.images[part])
    if recorded not in (None, fingerprint.hexdigest()):
        raise UserError(f"{path} is damaged: its images do not match their fingerprint; build it again with --force")
    return block, fingerprint.hexdigest()


def parts(array: np.ndarray | Stored, what: str) -> Iterator[slice]:
    """Slices of some tens of megabytes that cover an array's rows, with a progress bar if it is in the file."""
    step = max(1, PART_BYTES // max(1, array.dtype.itemsize * math.prod(array.shape[1:])))
    slices = [slice(start, min(start + step, len(array))) for start in range(0, len(array), step)]
    quiet = None if isinstance(array, Stored) else True
    return iter(tqdm(slices, desc=f"checking {what}", unit="part", disable=quiet, leave=False))


def seeded_split(n: int, test_fraction: float, seed: int) -> np.ndarray:
    """uint8 [n], TEST for the seeded share of rows that is held out; at least one row of each if n allows."""
    held_out = min(max(round(n * test_fraction), 1), n - 1) if test_fraction > 0 else 0
    split = np.full(n, TRAIN, np.uint8)
    split[permutation(n, seed, Stream.SPLIT)[:held_out]] = TEST
    return split
