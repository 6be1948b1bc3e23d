"""The dataset of a run: images, initial codes, labels, the split, and the rows used for training."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from glo.data import array_layout, conditions, group_layout, safe_hdf5
from glo.data.block import TEST, TRAIN, Block
from glo.data.conditions import Conditions
from glo.data.lazy_array import LazyArray, Rows
from glo.data.randomness import Stream, permutation
from glo.runtime import memory, paths
from glo.runtime.errors import UserError
from glo.runtime.log import logger
from glo.settings import TrainSettings
from glo.settings.train import CODED

PART_BYTES = 1 << 26


@dataclass(frozen=True)
class Dataset:
    """The contents of a dataset file, and the rows used for training and testing.

    images: uint8 [N, H, W, C]. codes: float32 [N, d], the initial codes. Both are in memory, or both in the file.
    labels: int32 [N] or None. label_names: of label 0, 1, ...; empty if the labels have no names.
    attributes: int8 [N, A], 0 or 1, or None. attribute_names: of the A columns.
    split: uint8 [N], 0 train, 1 test, 2 validation. Validation images are neither trained on nor used in evaluation.
    train_rows, test_rows: int64, ascending. With `max_samples`, `train_rows` holds only some of the training images.
    seen_rows: int64, ascending, the rows that the generator learns from. They are `train_rows`, but for a GAN, of which
        `train_rows` are those that get codes.
    fingerprint: SHA-256 of the image shape and the pixels in row order, in hexadecimal.
    conditions: of all N images, as the setting `conditional` names them.
    """

    path: Path
    images: np.ndarray | LazyArray
    codes: np.ndarray | LazyArray
    labels: np.ndarray | None
    label_names: tuple[str, ...]
    attributes: np.ndarray | None
    attribute_names: tuple[str, ...]
    split: np.ndarray
    train_rows: np.ndarray
    test_rows: np.ndarray
    seen_rows: np.ndarray
    fingerprint: str
    conditions: Conditions

    def __str__(self) -> str:
        """A one-line summary for the log."""
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
    def classes(self) -> int:
        """The number of different labels of the whole training split, even if a run uses a part; 0 without labels."""
        return 0 if self.labels is None else len(np.unique(self.labels[self.split == TRAIN]))

    @property
    def train_images(self) -> Rows:
        """uint8 [n, H, W, C], in the order of the code table."""
        return Rows(self.images, self.train_rows)

    @property
    def seen_images(self) -> Rows:
        """uint8 [m, H, W, C], the images that the generator learns from."""
        return Rows(self.images, self.seen_rows)

    @property
    def train_codes(self) -> Rows:
        """The initial codes float32 [n, d] of the training images."""
        return Rows(self.codes, self.train_rows)

    @property
    def train_conditions(self) -> Conditions:
        """The conditions of the training images."""
        return self.conditions.take(self.train_rows)


def load_dataset(settings: TrainSettings, rows_only: bool = False) -> Dataset:
    """Read and check the dataset that the settings name, in either layout.

    rows_only: whether images and codes stay in the file, and codes are not checked, because only some rows will be
    read.

    A file without a split gets a seeded random split with a share of `test_fraction` held out. `max_samples` keeps a
    seeded random choice of the training rows. Images larger than `memory_limit` (default: half of the free memory)
    stay in the file. `dimension` keeps only that many leading coordinates of the codes. `conditional` names the
    conditions.
    Raises `UserError` if the dataset is missing, damaged or inconsistent, or lacks the conditions.
    """
    path = locate_dataset(settings.data_dir, settings.dataset)
    block, fingerprint = read_dataset(path, 0 if rows_only else _memory_limit(settings), check_codes=not rows_only)
    if isinstance(block.images, LazyArray) and not rows_only:
        gigabytes = math.prod(block.images.shape) / 1e9
        logger.info("the images of %s take %.1f GB: they stay in the file and are read as needed", path, gigabytes)
    split = block.split
    if split is None:
        split = seeded_split(len(block.images), settings.test_fraction, settings.seed)
    train_rows, test_rows = np.flatnonzero(split == TRAIN), np.flatnonzero(split == TEST)
    if len(train_rows) == 0:
        raise UserError(f"{path} holds no training images: every row is in the test split")
    if settings.max_samples is not None:
        order = permutation(len(train_rows), settings.seed, Stream.SUBSET)
        train_rows = np.sort(train_rows[order[: settings.max_samples]])
    seen_rows = train_rows
    if settings.method == "gan":
        order = permutation(len(train_rows), settings.seed, Stream.CODED_IMAGES)
        train_rows = np.sort(train_rows[order[:CODED]])
    codes = block.codes
    if settings.dimension is not None:
        if settings.dimension > codes.shape[1]:
            raise UserError(
                f"--dimension {settings.dimension}: the codes in {path} have {codes.shape[1]} dimensions; "
                f"give --dimension {codes.shape[1]} or less"
            )
        codes = codes.leading(settings.dimension) if isinstance(codes, LazyArray) else codes[:, : settings.dimension]
    with safe_hdf5.opened(path) as file:
        label_names = array_layout.names(file, "label_names")
        attribute_names = array_layout.names(file, "attribute_names")
    if block.attributes is not None and len(attribute_names) != block.attributes.shape[1]:
        raise UserError(
            f"{path} names {len(attribute_names)} attributes and holds {block.attributes.shape[1]}: build it again"
        )
    return Dataset(
        path, block.images, codes, block.labels, label_names, block.attributes, attribute_names, split,
        train_rows, test_rows, seen_rows, fingerprint,
        conditions.of_block(settings.conditional, path, block, label_names, attribute_names, seen_rows),
    )  # fmt: skip


def load_rows(images: Rows, settings: TrainSettings, parts: int) -> Rows:
    """Read images [n, H, W, C] into memory, unless they take more than one of `parts` equal parts of `memory_limit`."""
    if math.prod(images.shape) > _memory_limit(settings) // parts:
        return images
    return Rows(images[:], np.arange(len(images)))


def _memory_limit(settings: TrainSettings) -> int:
    """The bytes that images in memory may take."""
    return memory.available() // 2 if settings.memory_limit is None else memory.parse_size(settings.memory_limit)


def locate_dataset(data_dir: str, name: str) -> Path:
    """The data file of a dataset. Raises `UserError` if there is none."""
    folder = paths.dataset_folder(data_dir, name)
    path = paths.dataset_file(folder)
    if path is None:
        flag = "" if data_dir == "datasets" else f" --data_dir {data_dir}"
        raise UserError(
            f"no dataset {name} in {folder}: type python download.py --datasets {name}{flag}, "
            "or see README.md for your own data"
        )
    return path


def read_dataset(path: Path, memory_limit: int | None = None, check_codes: bool = True) -> tuple[Block, str]:
    """Read a dataset file of either layout. Returns its contents and the fingerprint of its images.

    memory_limit: in bytes. If the images are larger, they and the codes stay in the file; None for no limit.
    check_codes: whether to read all codes and require finite ones.
    Raises `UserError` if the file is damaged or inconsistent.
    """
    limit = np.inf if memory_limit is None else memory_limit
    with safe_hdf5.opened(path) as file, np.errstate(over="ignore"):  # codes too large for float32 become inf
        if len(file) == 0:
            raise UserError(f"{path} holds no images")
        if array_layout.holds(file):
            block, recorded = array_layout.read(file, path, limit)
        else:
            block, recorded = group_layout.read(file, path, limit), None
        for part in parts(block.codes, "codes") if check_codes else ():
            finite = np.isfinite(block.codes[part]).all(axis=1)
            if not finite.all():
                row = part.start + int(np.argmin(finite))
                name = f" (id '{block.ids[row]}')" if block.ids else ""
                raise UserError(f"{path}: the code of row {row}{name} is not finite: build the dataset again")
    if recorded and isinstance(block.images, LazyArray):
        return block, recorded  # hashing a large file would take too long, and its chunks have checksums
    fingerprint = array_layout.Fingerprint(block.images.shape[1:])
    for part in parts(block.images, "images"):
        fingerprint.update(block.images[part])
    if recorded not in (None, fingerprint.hexdigest()):
        raise UserError(f"{path} is damaged: its images do not match their fingerprint; build it again with --force")
    return block, fingerprint.hexdigest()


def parts(array: np.ndarray | LazyArray, description: str) -> Iterator[slice]:
    """Slices of at most `PART_BYTES` that cover the rows of an array; with a progress bar if it is in the file."""
    step = max(1, PART_BYTES // max(1, array.dtype.itemsize * math.prod(array.shape[1:])))
    slices = [slice(start, min(start + step, len(array))) for start in range(0, len(array), step)]
    hide_bar = None if isinstance(array, LazyArray) else True  # None hides it unless stderr is a terminal
    return iter(tqdm(slices, desc=f"checking {description}", unit="part", disable=hide_bar, leave=False))


def seeded_split(n: int, test_fraction: float, seed: int) -> np.ndarray:
    """A seeded random split, uint8 [n]: `TEST` for a share of `test_fraction` of the rows, else `TRAIN`.

    If `test_fraction` is positive and n > 1, both parts have at least one row.
    """
    held_out = min(max(round(n * test_fraction), 1), n - 1) if test_fraction > 0 else 0
    split = np.full(n, TRAIN, np.uint8)
    split[permutation(n, seed, Stream.SPLIT)[:held_out]] = TEST
    return split
