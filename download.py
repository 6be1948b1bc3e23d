#!/usr/bin/env python3
"""Build datasets/<name>/data.hdf5: images, labels, split and the initial code of every image.

python download.py --datasets MNIST --distribution PCA --dimension 64
python download.py --images photos/ --name CATS --size 64
python download.py --info MNIST
"""

import dataclasses
import sys
from pathlib import Path
from types import ModuleType

from glo.runtime import errors
from glo.runtime.errors import UserError
from glo.settings import BuildSettings, fields

# The flags that only some ways of building a dataset look at.
PICTURES = ("--images", "--datasets CELEBA", "--datasets LSUN")
SERVES = {
    "name": ("--images", "--npz"),
    "size": PICTURES,
    "channels": PICTURES,
    "crop": ("--datasets CELEBA",),
    "category": ("--datasets LSUN",),
    "yes": ("--datasets LSUN",),
    "labels": ("--datasets", "--images", "--npz"),
    "max_samples": ("--datasets", "--images", "--npz"),
    "source": ("--datasets",),
    "mirror": ("--datasets",),
}
BUILDING = ("--datasets", "--images", "--npz", "--convert")
SERVES |= dict.fromkeys(("distribution", "dimension", "pca_samples", "code_norm", "test_fraction", "force"), BUILDING)
SERVES["seed"] = (*BUILDING, "--info")
SERVES["resume"] = PICTURES
WAYS = ("datasets", "images", "npz", "convert", "info", "verify")


def main(argv: list[str] | None = None) -> None:
    import datasets

    known = f"Known datasets: {', '.join(datasets.SOURCES | datasets.COLLECTIONS)}."
    typed = fields.parse(BuildSettings, argv, f"{__doc__.splitlines()[0]} {known}")
    settings = fields.resolve(BuildSettings, typed)
    what = [flag for flag in WAYS if getattr(settings, flag)]
    if len(what) != 1:
        ways = ", ".join(f"--{way}" for way in WAYS[:-1])
        raise UserError(f"give one of {ways} or --{WAYS[-1]}, for example --datasets MNIST. {known}")
    for flag in typed.values.keys() & SERVES.keys():
        for way in [f"--datasets {name.upper()}" for name in settings.datasets] or [f"--{what[0]}"]:
            if not {way, way.split()[0]} & set(SERVES[flag]):
                raise UserError(f"--{flag} has no effect with {way}, only with {' or '.join(SERVES[flag])}: drop it")
    if what[0] in ("images", "npz") and settings.name is None:
        raise UserError(f"--{what[0]} needs --name, the name of the new dataset")

    from glo.runtime import log

    log.setup()
    if settings.datasets:
        sources = {name.upper(): datasets.load(name.upper()) for name in settings.datasets}
        for name, source in sources.items():
            (build_collection if name in datasets.COLLECTIONS else build_known)(name, source, settings)
    elif settings.convert:
        convert(Path(settings.convert), settings)
    elif settings.info:
        show(settings.info, settings)
    elif settings.verify:
        check(settings.verify, settings)
    else:
        build_own(settings)


def build_known(name: str, source: ModuleType, settings: BuildSettings) -> None:
    """Build one of the known datasets, from the network or from --source."""
    from datasets.fetch import fetch, locate
    from glo.building.build import already_built, build
    from glo.building.selection import select

    folder = Path(settings.data_dir, name.lower())
    if already_built(folder, name, settings):
        return
    if settings.source:
        found = {file.name: locate(file, Path(settings.source)) for file in source.FILES}
    else:
        found = {file.name: fetch(file, folder / "download", settings.mirror) for file in source.FILES}
    chosen = (settings.labels, settings.max_samples, settings.seed)
    build(folder, name, name, lambda _: select(lambda: source.blocks(found), *chosen), settings)


def build_collection(name: str, source: ModuleType, settings: BuildSettings) -> None:
    """Build one of the known collections of pictures, from the network or from --source."""
    from glo.building.build import already_built, build

    source.check(settings)
    unset = {field: value for field, value in source.DEFAULTS.items() if getattr(settings, field) is None}
    settings = dataclasses.replace(settings, **unset)
    name = f"{name}_{settings.category.upper()}" if settings.category else name
    folder = Path(settings.data_dir, name.lower())
    if already_built(folder, name, settings):
        return
    pictures = source.collection(settings, _size(settings.size), source.find(settings, folder))
    build(
        folder,
        name,
        name,
        pictures.blocks,
        settings,
        attribute_names=pictures.attribute_names,
        item_count=pictures.count,
    )


def build_own(settings: BuildSettings) -> None:
    """Build a dataset of the user's from a folder of pictures or an .npz file."""
    from glo.building.build import already_built, build

    folder = Path(settings.data_dir, settings.name)
    path = Path(settings.images or settings.npz)
    source = path.resolve().name
    if already_built(folder, source, settings):
        return
    chosen = (settings.labels, settings.max_samples, settings.seed)
    if settings.images:
        from datasets import folder as own

        pictures = own.collection(path, _size(settings.size), settings.channels, *chosen)
        build(folder, settings.name, source, pictures.blocks, settings, pictures.class_names, item_count=pictures.count)
    else:
        from datasets import npz
        from glo.building.selection import select

        build(folder, settings.name, source, lambda _: select(lambda: npz.blocks(path), *chosen), settings)


def convert(folder: Path, settings: BuildSettings) -> None:
    """Rewrite a dataset folder of the older layout as the fast one, images, order and codes unchanged."""
    from glo.building.build import build
    from glo.data import array_layout, safe_hdf5
    from glo.data.dataset import read_dataset
    from glo.runtime import paths
    from glo.runtime.log import logger

    path = paths.dataset_file(folder)
    if path is None:
        raise UserError(f"no {' or '.join(paths.DATASET_FILES)} in {folder}: --convert needs a dataset folder")
    with safe_hdf5.opened(path) as file:
        if array_layout.holds(file):
            logger.info("%s has the fast layout already", path)
            return
    if path.name == paths.DATASET_FILE and not settings.force:
        raise UserError(f"{path} would be replaced: add --force, or rename it to data.hy first")
    block, _ = read_dataset(path)
    build(folder, folder.resolve().name, path.name, lambda _: [block], settings)


def show(name: str, settings: BuildSettings) -> None:
    """Print what a dataset holds, and write a picture of some of its images."""
    from glo.data import info
    from glo.data.dataset import locate_dataset

    contents = info.read(locate_dataset(settings.data_dir, name))
    print(info.describe(contents))
    print(f"{'picture':12} {info.contact_sheet(contents, settings.seed)}")


def check(name: str, settings: BuildSettings) -> None:
    """Print a line for each check that a dataset passes."""
    from glo.data.dataset import locate_dataset
    from glo.data.verify import verify

    for line in verify(locate_dataset(settings.data_dir, name)):
        print(line, flush=True)


def _size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    height, _, width = text.partition("x")
    return int(height), int(width or height)


if __name__ == "__main__":
    sys.exit(errors.run(main))
