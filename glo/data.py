"""A dataset in memory: images, initial codes, the split, and the seeded order of the batches."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from glo import grouped, h5, paths
from glo.block import TEST, TRAIN
from glo.errors import UserError
from glo.log import logger
from glo.pixels import DESCRIPTION, float_range, pixel_range, to_uint8


@dataclass(frozen=True)
class Dataset:
    """What a dataset file holds, and which rows are trained on.

    images: uint8 [N, H, W, C]. codes: float32 [N, d], the initial ones. labels: int32 [N] or None. ids: N texts.
    split: uint8 [N], 0 train, 1 test.
    train_rows, test_rows: int64, ascending; max_samples leaves the other training rows out. fingerprint: SHA-256 of shape and pixels in row order.
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
        raise UserError(
            f"no dataset {name} in {folder}: type python download.py --datasets {name}, or see README.md for your own data"
        )
    with h5.opened(path) as file:
        if file.get("image", getclass=True, getlink=True) is None or file.get("image", getclass=True) is h5py.Group:
            if len(file) == 0:
                raise UserError(f"{path} holds no images")
            (images, codes, ids), split, labels, expected = grouped.read(file, path), None, None, None
        else:
            images, codes, split, labels, ids = _read_flat(file, path)
            expected = file.attrs.get("fingerprint")
    if not np.isfinite(codes).all():
        row = int(np.flatnonzero(~np.isfinite(codes).all(axis=1))[0])
        raise UserError(f"{path}: the code of row {row} (id '{ids[row]}') is not finite: build the dataset again")
    digest = h5.Fingerprint(images.shape[1:])
    digest.update(images)
    fingerprint = digest.hexdigest()
    if expected is not None and fingerprint != expected:
        raise UserError(f"{path} is damaged: its images do not match their fingerprint; build it again with --force")
    if split is None:
        split = seeded_split(len(images), test_fraction, seed)
    train_rows, test_rows = np.flatnonzero(split == TRAIN), np.flatnonzero(split == TEST)
    if len(train_rows) == 0:
        raise UserError(f"{path} holds no training images: every row is in the test split")
    if max_samples is not None:
        train_rows = np.sort(train_rows[permutation(len(train_rows), seed, stream=_SUBSET)[:max_samples]])
    return Dataset(path, images, codes, labels, ids, split, train_rows, test_rows, fingerprint)


def _read_flat(file: h5py.File, path: Path):
    schema = file.attrs.get("schema", h5.SCHEMA)
    if schema != h5.SCHEMA:
        raise UserError(
            f"{path} has schema {schema}, this version reads {h5.SCHEMA}: update the toolkit or build it again"
        )
    nodes = [h5.array(file, name) for name in ("image", "code", "split", "label")]
    h5.check(path, *nodes)
    image, code, split, label = nodes
    _check_memory(image, path)
    ranges = [float_range(image[part], f"{path}: image") for part in h5.rows(image)] if image.dtype != np.uint8 else []
    kind = pixel_range(
        min((low for low, _ in ranges), default=float("inf")),
        max((high for _, high in ranges), default=float("-inf")),
        str(path),
    )
    if kind != "uint8":
        logger.info("%s: images are %s", path, DESCRIPTION[kind])
    images = np.concatenate([to_uint8(image[part], kind) for part in h5.rows(image)])
    ids = _read_ids(path.with_name(paths.ID_FILE), len(images))
    return (
        images,
        code[:].astype(np.float32),
        None if split is None else split[:],
        None if label is None else label[:],
        ids,
    )


def _read_ids(id_file: Path, n: int) -> list[str]:
    if not id_file.exists():
        return [str(row) for row in range(n)]
    try:
        ids = id_file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {id_file}: {error}") from None
    if len(ids) != n:
        raise UserError(
            f"{id_file} lists {len(ids)} ids and the data file holds {n} images: they do not belong together"
        )
    return ids


def _check_memory(image: h5py.Dataset, path: Path) -> None:
    """A small hostile file can announce an array of any size; so can an honest one that is too large."""
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    needed = image.size * (1 if image.dtype == np.uint8 else 1 + image.dtype.itemsize)
    if needed > free:
        raise UserError(
            f"{path} needs {needed / 1e9:.1f} GB of memory and {free / 1e9:.1f} GB are free: build a smaller one"
        )


# Streams keep draws that share a seed independent of one another. Epochs count from 0.
_SPLIT, _SUBSET = 2**63 - 1, 2**63 - 2


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
