#!/usr/bin/env python3
"""Build datasets/<name>/data.hdf5: images, labels, split and the initial code of every image.

python download.py --datasets MNIST --distribution PCA --dimension 64
python download.py --images photos/ --name CATS --size 64
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from glo import config, errors
from glo.errors import UserError
from glo.settings import BuildSettings


def main(argv: list[str] | None = None) -> None:
    import datasets

    known = f"Known datasets: {', '.join(datasets.SOURCES)}."
    typed = config.parse(BuildSettings, argv, f"{__doc__.splitlines()[0]} {known}")
    settings = config.resolve(BuildSettings, typed)
    what = [flag for flag in ("datasets", "images", "npz", "convert") if getattr(settings, flag)]
    if len(what) != 1:
        raise UserError(f"give one of --datasets, --images, --npz or --convert, for example --datasets MNIST. {known}")
    if what[0] in ("images", "npz") and settings.name is None:
        raise UserError(f"--{what[0]} needs --name, the name of the new dataset")

    from glo import log

    log.setup()
    if settings.datasets:
        sources = {name.upper(): datasets.load(name.upper()) for name in settings.datasets}
        for name, source in sources.items():
            build_known(name, source, settings)
    elif settings.convert:
        convert(Path(settings.convert), settings)
    else:
        build_own(settings)


def build_known(name: str, source: ModuleType, settings: BuildSettings) -> None:
    """Build one of the known datasets, from the network or from --source."""
    from datasets.fetch import fetch, locate
    from glo.build import build

    folder = Path(settings.data_dir, name.lower())
    if _already_built(folder, settings):
        return
    if settings.source:
        found = {file.name: locate(file, Path(settings.source)) for file in source.FILES}
    else:
        found = {file.name: fetch(file, folder / "download", settings.mirror) for file in source.FILES}
    build(folder, name, name, source.blocks(found), settings)


def build_own(settings: BuildSettings) -> None:
    """Build a dataset of the user's from a folder of pictures or an .npz file."""
    from glo.build import build

    folder = Path(settings.data_dir, settings.name)
    if _already_built(folder, settings):
        return
    if settings.images:
        from datasets import folder as pictures

        source = Path(settings.images)
        blocks = pictures.blocks(source, _size(settings.size), settings.channels)
        build(folder, settings.name, f"pictures in {source.name}", blocks, settings, pictures.class_names(source))
    else:
        from datasets import npz

        source = Path(settings.npz)
        build(folder, settings.name, source.name, npz.blocks(source), settings)


def convert(folder: Path, settings: BuildSettings) -> None:
    """Rewrite a dataset folder of the older layout as the fast one, images, order and codes unchanged."""
    from glo import data, paths
    from glo.block import Block
    from glo.build import build

    dataset = data.load(str(folder.parent), folder.name, settings.test_fraction, settings.seed)
    if dataset.path.name == paths.DATASET_FILE and not settings.force:
        raise UserError(f"{dataset.path} would be replaced: add --force, or rename it to data.hy first")

    def blocks() -> Iterator[Block]:
        yield Block(dataset.images, split=dataset.split, labels=dataset.labels, ids=dataset.ids, codes=dataset.codes)

    build(folder, folder.name, dataset.path.name, blocks(), settings)


def _already_built(folder: Path, settings: BuildSettings) -> bool:
    """True if the very same dataset is there. One of other settings is never replaced without --force."""
    from glo import h5, paths
    from glo.log import logger

    path = paths.dataset_file(folder)
    if path is None or settings.force:
        return False
    with h5.opened(path) as file:
        found = {key: file.attrs.get(key) for key in ("distribution", "dimension", "seed")}
    asked = {"distribution": settings.distribution, "dimension": settings.dimension, "seed": settings.seed}
    if settings.dimension is None:
        asked["dimension"] = found["dimension"]
    if found != asked:
        described = ", ".join(f"{key} {value}" for key, value in found.items())
        raise UserError(f"{path} is there already, with {described}: add --force to replace it")
    logger.info("%s is there already, with these settings; --force builds it anew", path)
    return True


def _size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    height, _, width = text.partition("x")
    return int(height), int(width or height)


if __name__ == "__main__":
    sys.exit(errors.run(main))
