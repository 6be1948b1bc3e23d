"""LSUN: millions of pictures of scenes (Yu et al., 2015). Each category and split is an LMDB of JPEG or WebP files."""

import logging
import os
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path

from datasets import lmdb_file, lsun_archive
from datasets.decoding import Collection, Item, attempt, identity
from datasets.picture import open_picture
from glo.data.block import TEST, TRAIN
from glo.runtime.errors import UserError
from glo.settings import BuildSettings

DEFAULTS = {"size": "64"}
SPLITS = {"train": TRAIN, "val": TEST}
INSPECTED = 8  # values at the start of a database, of which at least one must be a picture

log = logging.getLogger("glo")


def check(settings: BuildSettings) -> None:
    """Raise `UserError` if --category is missing, or if --labels is given, because LSUN has no labels."""
    if settings.category is None:
        raise UserError("--datasets LSUN needs --category, such as --category bedroom")
    if settings.labels:
        raise UserError(f"--labels {settings.labels}: LSUN's images have no labels; drop it")


def find(settings: BuildSettings, folder: Path) -> dict[str, Path]:
    """The folders of the databases by split: in `settings.source`, or in <folder>/download, where they are downloaded.

    Databases are downloaded only with --yes. Raises `UserError` if neither database is there or a download fails.
    """
    names = {split: f"{settings.category}_{split}_lmdb" for split in SPLITS}
    if settings.source is None:
        parent = folder / "download"
        lsun_archive.fetch(names.values(), settings.category, parent, settings.mirror, settings.yes)
    else:
        parent = Path(settings.source)
        if not os.path.isdir(parent):
            raise UserError(f"no such folder: {parent}; --source must name the folder with {names['train']}")
    try:
        entries = sorted(os.listdir(parent))
    except OSError as error:
        raise UserError(f"cannot read {parent}: {error.strerror}; change its permissions") from None
    databases = {split: parent / name for split, name in names.items() if os.path.isdir(parent / name)}
    if not databases:
        others = [name for name in entries if name.endswith("_lmdb")]
        hint = f"there are {', '.join(others)}" if others else "unpack the archives of LSUN there"
        raise UserError(f"{parent} holds neither {' nor '.join(names.values())}; {hint}")
    return databases


def collection(settings: BuildSettings, size: tuple[int, int], paths: dict[str, Path]) -> Collection:
    """The first `settings.max_samples` pictures of each database, in the order of their keys. Ids are <split>/<key>.

    size: (height, width) of the images. paths: as `find` returns them. With both databases, `train` is the training
    split and `val` the test split; with one, the dataset has no official split.
    Raises `UserError` if a folder is not a database of pictures.
    """
    counts = {split: _count(path) for split, path in paths.items()}
    if settings.max_samples:
        counts = {split: min(count, settings.max_samples) for split, count in counts.items()}

    def items(skip: int) -> Iterable[Item]:
        first = min(skip, counts.get("train", 0))
        starts = {"train": first, "val": skip - first}
        return chain.from_iterable(
            _items(path, split, SPLITS[split] if len(paths) > 1 else None, starts[split], counts[split])
            for split, path in paths.items()
        )

    where = " and ".join(map(str, paths.values()))
    return Collection(where, items, sum(counts.values()), (*size, settings.channels or 3))


def _items(path: Path, name: str, split: int | None, start: int, stop: int) -> Iterator[Item]:
    """The items of a database from number `start` to `stop` (exclusive), in the order of their keys.

    name: the first part of the ids.
    """
    if start < stop:
        if start:
            log.info("%s: skipping the first %d pictures", path, start)
        with lmdb_file.opened(path, start) as (_, records):
            for key, value in islice(records, stop - start):
                yield Item(identity(f"{name}/{key.decode(errors='backslashreplace')}"), value, split=split)


def _count(path: Path) -> int:
    """The number of values of a database.

    Raises `UserError` if the file is damaged, or if none of the first `INSPECTED` values is a picture.
    """
    with lmdb_file.opened(path) as (count, records):
        if any(not isinstance(attempt(open_picture, value), str) for _, value in islice(records, INSPECTED)):
            return count
    raise UserError(f"{path} holds no pictures: its first values are neither JPEG nor WebP; is it an LSUN database?")
