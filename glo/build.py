"""Builds a dataset file from blocks of samples: writes the images, then the split, then the initial codes."""

import math
from collections.abc import Iterable, Iterator
from pathlib import Path

import h5py
import numpy as np

from glo import files, flat, h5, ids, initial_codes, paths
from glo.block import TRAIN, Block
from glo.data import seeded_split
from glo.errors import UserError
from glo.initial_codes import PCACodes, project
from glo.log import logger
from glo.settings import BuildSettings

# The settings that tell one build of a source from another; they are kept in the file.
RECIPE = (
    "distribution", "dimension", "seed", "code_norm", "test_fraction",
    "size", "channels", "crop", "category", "max_samples", "labels",
)  # fmt: skip


def already_built(folder: Path, source: str, settings: BuildSettings) -> bool:
    """True if the very same dataset is there. Raises `UserError` for another one, unless it is to be replaced."""
    path = paths.dataset_file(folder)
    if path is None or settings.force:
        return False
    asked = {"source": source, **{name: getattr(settings, name) for name in RECIPE}}
    if settings.dimension is None:
        del asked["dimension"]  # any will do
    with h5.opened(path) as file:
        if "distribution" not in file.attrs:
            raise UserError(f"{path} is there already, and not from download.py: add --force to replace it")
        found = {name: str(file.attrs.get(name)) for name in asked}
    if other := [f"{name} {value}" for name, value in found.items() if value != str(asked[name])]:
        raise UserError(f"{path} is there already, with {', '.join(other)}: add --force to replace it")
    logger.info("%s is there already, with these settings; --force builds it anew", path)
    return True


def build(
    folder: Path,
    name: str,
    source: str,
    blocks: Iterable[Block],
    settings: BuildSettings,
    class_names: list[str] | None = None,
    attribute_names: list[str] | None = None,
) -> None:
    """Build <folder>/data.hdf5 and id.txt; an interrupted build leaves older ones as they were.

    Codes that come with the blocks are kept. Raises `UserError` for zero images, a dimension that the data cannot
    give, or a folder that cannot be written.
    """
    target, listing = folder / paths.DATASET_FILE, folder / paths.ID_FILE
    attributes = {"name": name, "source": source}
    if class_names:
        attributes["label_names"] = class_names
    if attribute_names:
        attributes["attribute_names"] = attribute_names
    # Both files are complete before the first is renamed; the large one goes first, as syncing it takes long.
    with (
        files.replacing(listing) as new_listing,
        files.replacing(target) as new_target,
        flat.Writer(new_target) as writer,
    ):
        for block in blocks:
            writer.append(block)
        if len(writer) == 0:
            raise UserError(f"{source} holds no images: nothing was built")
        if writer.split is None:
            writer.extend("split", [seeded_split(len(writer), settings.test_fraction, settings.seed)])
        if writer.has_codes:
            attributes["distribution"] = "given"
        else:
            writer.extend("code", _codes(writer, settings))
            attributes |= {key: value for key in RECIPE if (value := getattr(settings, key)) is not None}
        n, *shape = writer.images.shape
        ids.write(new_listing, writer.finish(**attributes))
    logger.info("%s: %d images %dx%dx%d", target, n, *shape)


def _codes(writer: flat.Writer, settings: BuildSettings) -> Iterator[np.ndarray]:
    """Projected initial codes of all rows, in row order."""
    projection = "sphere" if settings.code_norm == "unit" else "ball"
    if settings.distribution == "PCA":
        raw = _pca_codes(writer.images, np.flatnonzero(writer.split == TRAIN), settings)
    else:
        dimension = settings.dimension or initial_codes.DEFAULT_DIMENSION
        raw = initial_codes.random_codes(settings.distribution, len(writer), dimension, settings.seed)
    return (project(codes, projection) for codes in raw)


def _pca_codes(images: h5py.Dataset, train_rows: np.ndarray, settings: BuildSettings) -> Iterator[np.ndarray]:
    size = math.prod(images.shape[1:])
    rows = initial_codes.fit_rows(train_rows, size, settings.seed)
    most = initial_codes.most_components(len(rows), size)
    dimension = settings.dimension or min(initial_codes.DEFAULT_DIMENSION, most)
    pca = PCACodes.fit(_take(images, rows), dimension, settings.seed)
    logger.info(
        "PCA of %d images: %d components explain %.1f %% of the variance", len(rows), dimension, 100 * pca.explained
    )
    for part in h5.rows(images):
        yield pca(images[part])


def _take(images: h5py.Dataset, rows: np.ndarray) -> np.ndarray:
    """The given ascending rows, read in order: HDF5's own selection of scattered rows is far slower."""
    taken = np.empty((len(rows), *images.shape[1:]), np.uint8)
    for part in h5.rows(images):
        first, last = np.searchsorted(rows, [part.start, part.stop])
        if first < last:
            taken[first:last] = images[part][rows[first:last] - part.start]
    return taken
