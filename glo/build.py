"""Builds a dataset file from blocks of samples: writes the images, then the split, then the initial codes."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import h5py
import numpy as np

from glo import files, h5, initial_codes, paths
from glo.block import TRAIN, Block
from glo.data import seeded_split
from glo.errors import UserError
from glo.initial_codes import PCACodes, project
from glo.log import logger
from glo.settings import BuildSettings


def build(
    folder: Path,
    name: str,
    source: str,
    blocks: Iterable[Block],
    settings: BuildSettings,
    class_names: list[str] | None = None,
) -> None:
    """Build <folder>/data.hdf5 and id.txt; an interrupted build leaves older ones as they were.

    Codes that come with the blocks are kept. Raises `UserError` for zero images, a dimension that the data cannot
    give, or a folder that cannot be written.
    """
    target = folder / paths.DATASET_FILE
    with files.replacing(target) as temporary:
        with h5.Writer(temporary) as writer:
            for block in blocks:
                writer.append(block)
            if len(writer) == 0:
                raise UserError(f"{source} holds no images: nothing was built")
            if writer.split is None:
                writer.set("split", iter([seeded_split(len(writer), settings.test_fraction, settings.seed)]))
            attributes = {"name": name, "source": source, "seed": settings.seed, "distribution": "given"}
            if class_names:
                attributes["label_names"] = class_names
            if not writer.has_codes:
                attributes["distribution"] = settings.distribution
                writer.set("code", _codes(writer, settings))
            shape, n = writer.images.shape, len(writer)
            ids = writer.close(**attributes)
        files.write_text(folder / paths.ID_FILE, "".join(f"{id_}\n" for id_ in ids))
    logger.info("%s: %d images %dx%dx%d", target, n, *shape[1:])


def _codes(writer: h5.Writer, settings: BuildSettings) -> Iterator[np.ndarray]:
    """Projected initial codes of all rows, in row order."""
    projection = "sphere" if settings.code_norm == "unit" else "ball"
    if settings.distribution == "PCA":
        raw = _pca_codes(writer.images, np.flatnonzero(writer.split == TRAIN), settings)
    else:
        dimension = settings.dimension or initial_codes.DEFAULT_DIMENSION
        raw = initial_codes.blockwise(
            initial_codes.random_codes(settings.distribution, len(writer), dimension, settings.seed)
        )
    return (project(codes, projection) for codes in raw)


def _pca_codes(images: h5py.Dataset, train_rows: np.ndarray, settings: BuildSettings) -> Iterator[np.ndarray]:
    size = int(np.prod(images.shape[1:]))
    most = initial_codes.most_components(len(train_rows), size)
    rows = initial_codes.fit_rows(train_rows, size, settings.seed)
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
