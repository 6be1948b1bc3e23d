"""LSUN: millions of pictures of scenes (Yu et al., 2015). Each category and split is an LMDB of JPEG or WebP files."""

import logging
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path

import lmdb

from datasets import lsun_archive
from datasets.decoding import Collection, Item, attempt, identity
from datasets.picture import open_picture
from glo.data.block import TEST, TRAIN
from glo.runtime.errors import UserError
from glo.settings import BuildSettings

DEFAULTS = {"size": "64"}
SPLITS = {"train": TRAIN, "val": TEST}
DATA = "data.mdb"
INSPECTED = 8  # values at the start of a database, of which at least one must be a picture
REOPEN_BYTES = 256 << 20  # pages stay mapped, and count as memory, until the database is closed: reopen it after these

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

    name: the first part of the ids. The database is reopened from time to time, which bounds the memory.
    """
    key = None
    if start:
        log.info("%s: skipping the first %d pictures", path, start)
    while start < stop:
        with _opened(path) as database, database.cursor() as cursor:
            if key is None:
                has_item = cursor.first() and all(cursor.next() for _ in range(start))
            else:
                has_item = cursor.set_key(key) and cursor.next()
            bytes_read = 0
            while has_item and start < stop and bytes_read < REOPEN_BYTES:
                key, value = cursor.item()
                yield Item(identity(f"{name}/{key.decode(errors='backslashreplace')}"), value, split=split)
                start, bytes_read, has_item = start + 1, bytes_read + len(value), cursor.next()
        if not has_item:
            return


def _count(path: Path) -> int:
    """The number of values of a database.

    Raises `UserError` if the file is incomplete, or if none of the first `INSPECTED` values is a picture.
    """
    with _opened(path) as database, database.cursor() as cursor:
        if any(not isinstance(attempt(open_picture, value), str) for _, value in islice(cursor, INSPECTED)):
            return database.stat()["entries"]
    raise UserError(f"{path} holds no pictures: its first values are neither JPEG nor WebP; is it an LSUN database?")


@contextmanager
def _opened(path: Path) -> Iterator[lmdb.Transaction]:
    """Open a database for reading. Raises `UserError`, also inside the block, if it is missing or damaged."""
    if not (path / DATA).is_file() or (path / DATA).stat().st_size == 0:
        raise UserError(f"{path} holds no {DATA}, or an empty one: it is not an LMDB, or was not unpacked completely")
    try:
        with lmdb.open(str(path), readonly=True, lock=False, create=False, readahead=False) as database:
            pages = database.info()["last_pgno"] + 1
            if pages * database.stat()["psize"] > (path / DATA).stat().st_size:
                raise UserError(f"{path / DATA} is cut short: download it again")
            with database.begin() as transaction:
                yield transaction
    except (lmdb.Error, OSError) as error:
        raise UserError(f"{path} cannot be read as an LMDB: {error}; download it again") from None
