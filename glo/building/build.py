"""Build a dataset file from blocks of samples: write the images, then the split, then the initial codes."""

import math
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import h5py
import numpy as np

from glo.building import initial_codes
from glo.building.build_journal import BuildJournal
from glo.building.initial_codes import PCACodes
from glo.building.spool import Spool
from glo.building.writer import Writer
from glo.data import ids, safe_hdf5
from glo.data.block import TRAIN, Block
from glo.data.dataset import seeded_split
from glo.data.projection import project
from glo.runtime import files, paths
from glo.runtime.errors import UserError
from glo.runtime.log import logger
from glo.settings import BuildSettings

MIN_PCA_IMAGES = 20_000  # PCA is fitted on this many training images, or on two per pixel if that is more
CODE_BYTES = 4  # of a value of a code in the file

# The settings that distinguish two builds of the same source. They are stored in the file. An interrupted build has no
# codes yet, so that the settings of the codes may change when it is resumed.
CODE_SETTINGS = ("distribution", "dimension", "code_norm", "pca_samples")
ROW_SETTINGS = ("seed", "test_fraction", "size", "channels", "crop", "category", "max_samples", "labels")
RECIPE = CODE_SETTINGS + ROW_SETTINGS


def already_built(folder: Path, source: str, settings: BuildSettings) -> bool:
    """Whether `folder` holds a dataset built from `source` with these settings; always False with `settings.force`.

    Raises `UserError` if it holds another dataset and `settings.force` is False.
    """
    path = paths.dataset_file(folder)
    if path is None or settings.force:
        return False
    requested = {"source": source, **{name: getattr(settings, name) for name in RECIPE}}
    if settings.dimension is None:
        del requested["dimension"]  # a default that depends on the data: any dimension is accepted
    with safe_hdf5.opened(path) as file:
        if safe_hdf5.attribute(file, "distribution") is None:
            raise UserError(f"{path} already exists and was not built by download.py: add --force to replace it")
        existing = {name: str(safe_hdf5.attribute(file, name)) for name in requested}
    if different := [f"{name} {value}" for name, value in existing.items() if value != str(requested[name])]:
        raise UserError(f"{path} already exists with {', '.join(different)}: add --force to replace it")
    logger.info("%s already exists with these settings; add --force to build it again", path)
    return True


def build(
    folder: Path,
    name: str,
    source: str,
    blocks: Callable[[int], Iterable[Block]],
    settings: BuildSettings,
    class_names: list[str] | None = None,
    attribute_names: list[str] | None = None,
    item_count: int | None = None,
) -> None:
    """Build <folder>/data.hdf5 and id.txt. Existing files are replaced only when both new files are complete.

    name, source: file attributes of the dataset.
    blocks: a function of the number of items to skip that returns the blocks after them. It is called with 0 unless
        the blocks have `items_consumed`.
    class_names: of label 0, 1, ... attribute_names: of each column of `Block.attributes`.
    item_count: number of items of the source, if known. It is part of what must agree when a build is resumed.
    Codes that come with the blocks are kept; otherwise initial codes are made as the settings say.
    Raises `UserError` if there are no images, if the dimension is too large for PCA, or if an interrupted build cannot
    be resumed, and `WriteError` if the folder cannot be written to.
    """
    recipe = {"name": name, "source": source, "items": str(item_count)}
    recipe |= {key: str(getattr(settings, key)) for key in ROW_SETTINGS}
    attributes = {"name": name, "source": source}
    if class_names:
        attributes["label_names"] = class_names
    if attribute_names:
        attributes["attribute_names"] = attribute_names
    # Both files are complete before the first one is renamed. The large one comes first, because syncing it takes long.
    with files.replacing(folder / paths.ID_FILE) as new_listing, BuildJournal(folder, recipe) as journal:
        resumed = journal.resume() if settings.resume else journal.start()
        with Writer(journal.file, resumed) as writer:
            items_consumed = resumed[0].items_consumed if resumed else 0
            remaining = item_count and item_count - items_consumed
            for block in blocks(items_consumed):
                if remaining:  # checked once, as soon as the size of the images is known
                    _require(remaining, item_count, block, settings, folder)
                    remaining = None
                new_ids = writer.append(block)
                if block.items_consumed is not None:
                    items_consumed += block.items_consumed
                    journal.record(writer.progress(items_consumed), new_ids)
            if len(writer) == 0:
                raise UserError(f"{source} holds no images: nothing was built")
            if writer.split is None:
                writer.extend("split", [seeded_split(len(writer), settings.test_fraction, settings.seed)])
            if writer.has_codes:
                attributes["distribution"] = "given"
            else:
                codes, statistics = _codes(writer, settings, folder)
                writer.extend("code", codes)
                attributes |= statistics
                attributes |= {key: value for key in RECIPE if (value := getattr(settings, key)) is not None}
            n, *shape = writer.images.shape
            ids.write(new_listing, writer.finish(**attributes))
        journal.publish()
    logger.info("%s: %d images %dx%dx%d", folder / paths.DATASET_FILE, n, *shape)


def _require(remaining: int, n: int, block: Block, settings: BuildSettings, folder: Path) -> None:
    """Raise `UserError` if the disk has no space for `remaining` images and codes, or if PCA of n images is impossible.

    block: some of the images. Hours of decoding may follow, and n is at least the number of images.
    """
    size, dimension = block.images[0].size, settings.dimension or 0
    code_bytes = n * CODE_BYTES * dimension
    what = f"{folder / paths.DATASET_FILE} of {n} images of {size} values and codes of {dimension}"
    files.require_space(folder, remaining * size + code_bytes, what, ", or lower --size, --dimension or --max_samples")
    if dimension and settings.distribution == "PCA":
        initial_codes.require_pca(min(n, _max_rows(size, block.images.shape[-1], settings)), size, dimension)


def _codes(writer: Writer, settings: BuildSettings, folder: Path) -> tuple[Iterator[np.ndarray], dict[str, float]]:
    """The projected initial codes of all rows, in blocks float32 [n, d] in row order, and their file attributes."""
    projection = "sphere" if settings.code_norm == "unit" else "ball"
    attributes = {}
    if settings.distribution == "PCA":
        pca = _fit_pca(writer.images, np.flatnonzero(writer.split == TRAIN), settings, folder)
        blocks = (pca(writer.images[part]) for part in safe_hdf5.rows(writer.images))
        attributes["explained_variance"] = pca.explained_variance_ratio
    else:
        dimension = settings.dimension or initial_codes.DEFAULT_DIMENSION
        what = f"{folder / paths.DATASET_FILE} with {len(writer)} codes of {dimension}"
        files.require_space(folder, len(writer) * CODE_BYTES * dimension, what, ", or lower --dimension")
        blocks = initial_codes.random_codes(settings.distribution, len(writer), dimension, settings.seed)
    return (project(codes, projection) for codes in blocks), attributes


def _fit_pca(images: h5py.Dataset, train_rows: np.ndarray, settings: BuildSettings, folder: Path) -> PCACodes:
    values = math.prod(images.shape[1:])
    rows = initial_codes.fit_rows(train_rows, _max_rows(values, images.shape[-1], settings), settings.seed)
    dimension = settings.dimension
    if dimension is None:
        dimension = min(initial_codes.DEFAULT_DIMENSION, initial_codes.max_components(len(rows), values))
    pca = PCACodes.fit(Spool(images, rows, folder), dimension, settings.seed)
    explained = 100 * pca.explained_variance_ratio
    logger.info("PCA of %d images: %d components explain %.1f %% of the variance", len(rows), dimension, explained)
    return pca


def _max_rows(values: int, channels: int, settings: BuildSettings) -> int:
    """The number of images that PCA is fitted to, at most. values: of an image."""
    return settings.pca_samples or max(MIN_PCA_IMAGES, 2 * values // channels)
