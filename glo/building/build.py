"""Builds a dataset file from blocks of samples: writes the images, then the split, then the initial codes."""

import math
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import h5py
import numpy as np

from glo.building import initial_codes
from glo.building.build_journal import Partial, Reached
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

LEAST_SAMPLE = 20_000  # training images that PCA is fitted on, or twice the pixels of an image if that is more

# The settings that tell one build of a source from another; they are kept in the file. Those of the codes alone may
# change when an interrupted build, which has no codes yet, goes on.
OF_CODES = ("distribution", "dimension", "code_norm", "pca_samples")
OF_ROWS = ("seed", "test_fraction", "size", "channels", "crop", "category", "max_samples", "labels")
RECIPE = OF_CODES + OF_ROWS


def already_built(folder: Path, source: str, settings: BuildSettings) -> bool:
    """True if the very same dataset is there. Raises `UserError` for another one, unless it is to be replaced."""
    path = paths.dataset_file(folder)
    if path is None or settings.force:
        return False
    asked = {"source": source, **{name: getattr(settings, name) for name in RECIPE}}
    if settings.dimension is None:
        del asked["dimension"]  # any will do
    with safe_hdf5.opened(path) as file:
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
    blocks: Callable[[int], Iterable[Block]],
    settings: BuildSettings,
    class_names: list[str] | None = None,
    attribute_names: list[str] | None = None,
    items: int | None = None,
) -> None:
    """Build <folder>/data.hdf5 and id.txt; an interrupted build leaves older ones as they were.

    blocks: from a number of items to skip to the blocks after them; where blocks do not say how many items they took,
    only 0 is asked for. items: how many there are in all, if that is known. Codes that come with the blocks are kept.
    Raises `UserError` for zero images, a dimension that the data cannot give, or a folder that cannot be written.
    """
    about = {"name": name, "source": source, "items": str(items)}
    about |= {key: str(getattr(settings, key)) for key in OF_ROWS}
    attributes = {"name": name, "source": source}
    if class_names:
        attributes["label_names"] = class_names
    if attribute_names:
        attributes["attribute_names"] = attribute_names
    # Both files are complete before the first is renamed; the large one goes first, as syncing it takes long.
    with files.replacing(folder / paths.ID_FILE) as new_listing, Partial(folder, about) as partial:
        found = partial.resume() if settings.resume else partial.start()
        with Writer(partial.file, found) as writer:
            taken = found[0].taken if found else 0
            for block in blocks(taken):
                new = writer.append(block)
                if block.taken is not None:
                    taken += block.taken
                    partial.record(Reached(len(writer), taken, writer.fingerprint), new)
            if len(writer) == 0:
                raise UserError(f"{source} holds no images: nothing was built")
            if writer.split is None:
                writer.extend("split", [seeded_split(len(writer), settings.test_fraction, settings.seed)])
            if writer.has_codes:
                attributes["distribution"] = "given"
            else:
                codes, of_codes = _codes(writer, settings, folder)
                writer.extend("code", codes)
                attributes |= of_codes | {key: value for key in RECIPE if (value := getattr(settings, key)) is not None}
            n, *shape = writer.images.shape
            ids.write(new_listing, writer.finish(**attributes))
        partial.publish()
    logger.info("%s: %d images %dx%dx%d", folder / paths.DATASET_FILE, n, *shape)


def _codes(writer: Writer, settings: BuildSettings, folder: Path) -> tuple[Iterator[np.ndarray], dict[str, float]]:
    """Projected initial codes of all rows, in row order, and what the file's attributes say of them."""
    projection = "sphere" if settings.code_norm == "unit" else "ball"
    about = {}
    if settings.distribution == "PCA":
        pca = _fit_pca(writer.images, np.flatnonzero(writer.split == TRAIN), settings, folder)
        raw = (pca(writer.images[part]) for part in safe_hdf5.rows(writer.images))
        about["explained_variance"] = pca.explained
    else:
        dimension = settings.dimension or initial_codes.DEFAULT_DIMENSION
        raw = initial_codes.random_codes(settings.distribution, len(writer), dimension, settings.seed)
    return (project(codes, projection) for codes in raw), about


def _fit_pca(images: h5py.Dataset, train_rows: np.ndarray, settings: BuildSettings, folder: Path) -> PCACodes:
    size = math.prod(images.shape[1:])
    sample = settings.pca_samples or max(LEAST_SAMPLE, 2 * size // images.shape[-1])
    rows = initial_codes.fit_rows(train_rows, sample, settings.seed)
    most = initial_codes.most_components(len(rows), size)
    dimension = settings.dimension or min(initial_codes.DEFAULT_DIMENSION, most)
    pca = PCACodes.fit(Spool(images, rows, folder), dimension, settings.seed)
    logger.info(
        "PCA of %d images: %d components explain %.1f %% of the variance", len(rows), dimension, 100 * pca.explained
    )
    return pca
