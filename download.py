#!/usr/bin/env python3
"""Build a dataset, datasets/<name>/data.hdf5: images, labels, split and an initial code for each image.

python download.py --datasets MNIST --distribution PCA --dimension 64
python download.py --images photos/ --name CATS --size 64
python download.py --info MNIST
"""

import dataclasses
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import datasets
from glo.runtime import errors, terminal
from glo.runtime.errors import UserError

if TYPE_CHECKING:
    from glo.settings import BuildSettings

# The flags that have an effect only with some of the modes. A mode may be restricted to a dataset.
PICTURES = ("--images", *(f"--datasets {name}" for name in datasets.COLLECTIONS))
MODES_OF_FLAG = {
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
BUILDING_FLAGS = ("distribution", "dimension", "pca_samples", "code_norm", "test_fraction")
MODES_OF_FLAG |= dict.fromkeys(BUILDING_FLAGS, BUILDING)
MODES_OF_FLAG["force"] = (*BUILDING, "--info")
MODES_OF_FLAG["seed"] = (*BUILDING, "--info")
MODES_OF_FLAG["resume"] = PICTURES
MODES = ("datasets", "images", "npz", "convert", "info", "verify")


def main(argv: list[str] | None = None) -> None:
    from glo.settings import BuildSettings, fields

    known = f"Known datasets: {', '.join(datasets.SOURCES | datasets.COLLECTIONS)}."
    typed = fields.parse(BuildSettings, argv, f"{__doc__.splitlines()[0]} {known}")
    settings = fields.resolve(BuildSettings, typed)
    mode = _mode(settings, known)
    for flag in typed.values.keys() & MODES_OF_FLAG.keys():
        allowed = MODES_OF_FLAG[flag]
        for used in [f"--datasets {name.upper()}" for name in settings.datasets] or [f"--{mode}"]:
            if not {used, used.split()[0]} & set(allowed):
                raise UserError(f"--{flag} has no effect with {used}, only with {' or '.join(allowed)}: drop it")
    if mode in ("images", "npz") and settings.name is None:
        raise UserError(f"--{mode} needs --name, the name of the new dataset")

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


def _mode(settings: "BuildSettings", known: str) -> str:
    """The one of `MODES` that is set. known: a sentence for the error message. Raises `UserError` if it is not one."""
    modes = [mode for mode in MODES if getattr(settings, mode)]
    if len(modes) != 1:
        flags = ", ".join(f"--{mode}" for mode in MODES[:-1])
        raise UserError(f"give one of {flags} or --{MODES[-1]}, for example --datasets MNIST. {known}")
    return modes[0]


def build_known(name: str, source: ModuleType, settings: "BuildSettings") -> None:
    """Build one of `datasets.SOURCES` from downloaded files, or from those in --source."""
    from datasets.fetch import fetch, locate
    from glo.building.build import already_built, build
    from glo.building.selection import select
    from glo.runtime.log import logger

    folder = Path(settings.data_dir, name.lower())
    if already_built(folder, name, settings):
        return
    if settings.source:
        paths = {file.name: locate(file, Path(settings.source)) for file in source.FILES}
    else:
        paths = {file.name: fetch(file, folder / "download", settings.mirror) for file in source.FILES}
    if paths:
        logger.info("reading %s", ", ".join(map(str, paths.values())))
    selection = (settings.labels, settings.max_samples, settings.seed)
    build(folder, name, name, lambda _: select(lambda: source.blocks(paths), *selection), settings)


def build_collection(name: str, source: ModuleType, settings: "BuildSettings") -> None:
    """Build one of `datasets.COLLECTIONS` from downloaded files, or from those in --source."""
    from glo.building.build import already_built, build

    source.check(settings)
    defaults = {field: value for field, value in source.DEFAULTS.items() if getattr(settings, field) is None}
    settings = dataclasses.replace(settings, **defaults)
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


def build_own(settings: "BuildSettings") -> None:
    """Build a dataset from the user's own folder of pictures or .npz file."""
    from glo.building.build import already_built, build

    folder = Path(settings.data_dir, settings.name)
    path = Path(settings.images or settings.npz)
    source = _name(path)
    if already_built(folder, source, settings):
        return
    selection = (settings.labels, settings.max_samples, settings.seed)
    if settings.images:
        from datasets import folder as picture_folder

        pictures = picture_folder.collection(path, _size(settings.size), settings.channels, *selection)
        build(folder, settings.name, source, pictures.blocks, settings, pictures.class_names, item_count=pictures.count)
    else:
        from datasets import npz
        from glo.building.selection import select

        build(folder, settings.name, source, lambda _: select(lambda: npz.blocks(path), *selection), settings)


def convert(folder: Path, settings: "BuildSettings") -> None:
    """Rewrite a dataset of the older layout in the fast layout. Images, their order and codes are unchanged."""
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
            logger.info("%s already has the fast layout", path)
            return
    if path.name == paths.DATASET_FILE and not settings.force:
        raise UserError(f"{path} would be replaced: add --force, or rename it to data.hy first")
    block, _ = read_dataset(path)
    build(folder, _name(folder), path.name, lambda _: [block], settings)


def show(name: str, settings: "BuildSettings") -> None:
    """Print a summary of a dataset, and write a contact sheet of some of its images, if its folder is writable."""
    from glo.data import info
    from glo.data.dataset import locate_dataset
    from glo.runtime import files
    from glo.runtime.log import logger

    contents = info.read(locate_dataset(settings.data_dir, name))
    terminal.show(info.describe(contents))
    try:
        terminal.show(f"{'picture':12} {info.contact_sheet(contents, settings.seed, settings.force)}")
    except files.WriteError as error:  # the summary is complete without it
        logger.warning("no picture: %s", error)


def check(name: str, settings: "BuildSettings") -> None:
    """Verify a dataset, and print a line for each check that it passes."""
    from glo.data.dataset import locate_dataset
    from glo.data.verify import verify

    for line in verify(locate_dataset(settings.data_dir, name)):
        terminal.show(line)


def _name(path: Path) -> str:
    """The name of a file or folder, also of `.`, as valid UTF-8. Raises `UserError` if the current folder is gone."""
    from datasets.decoding import identity

    try:
        return identity(path.resolve().name)
    except FileNotFoundError:
        raise UserError(f"cannot find {path}: the current folder no longer exists; change to another one") from None


def _size(text: str | None) -> tuple[int, int] | None:
    """Parse --size, such as 64 or 48x64, to (height, width)."""
    if text is None:
        return None
    height, _, width = text.partition("x")
    return int(height), int(width or height)


if __name__ == "__main__":
    sys.exit(errors.run(main))
