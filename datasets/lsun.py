"""LSUN: scenes by the million, as JPEG or WebP in a database of LMDB for each category and split (Yu et al., 2015)."""

import logging
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
LOOKED_AT = 8  # values at the start, of which one at least must be a picture
REOPEN_BYTES = 256 << 20  # pages that were read stay mapped, and count as memory, until the database is closed

log = logging.getLogger("glo")


def check(settings: BuildSettings) -> None:
    """Raise `UserError` without --category, and for --labels."""
    if settings.category is None:
        raise UserError("--datasets LSUN needs --category, such as --category bedroom")
    if settings.labels:
        raise UserError(f"--labels {settings.labels}: LSUN's images have no labels; drop it")


def find(settings: BuildSettings, folder: Path) -> dict[str, Path]:
    """The databases' folders by split, in --source, or in <folder>/download, where they are fetched to with --yes.

    Raises `UserError` if there is none.
    """
    names = {split: f"{settings.category}_{split}_lmdb" for split in SPLITS}
    if settings.source is None:
        place = folder / "download"
        lsun_archive.fetch(names.values(), settings.category, place, settings.mirror, settings.yes)
    else:
        place = Path(settings.source)
        if not place.is_dir():
            raise UserError(f"no such folder: {place}; --source must name the folder with {names['train']}")
    found = {split: place / name for split, name in names.items() if (place / name).is_dir()}
    if not found:
        there = [path.name for path in sorted(place.glob("*_lmdb"))]
        told = f"there are {', '.join(there)}" if there else "unpack the archives of LSUN there"
        raise UserError(f"{place} holds neither {' nor '.join(names.values())}; {told}")
    return found


def collection(settings: BuildSettings, size: tuple[int, int], paths: dict[str, Path]) -> Collection:
    """The pictures in the order of their keys, the first `settings.max_samples` of each split.

    The split is train -> training and val -> test if both are there, else there is none; ids are <split>/<key>.
    Raises `UserError` for what is no database of pictures.
    """
    counts = {part: _count(path) for part, path in paths.items()}
    if settings.max_samples:
        counts = {part: min(count, settings.max_samples) for part, count in counts.items()}

    def items(skip: int) -> Iterable[Item]:
        first = min(skip, counts.get("train", 0))
        starts = {"train": first, "val": skip - first}
        return chain.from_iterable(
            _items(path, part, SPLITS[part] if len(paths) > 1 else None, starts[part], counts[part])
            for part, path in paths.items()
        )

    where = " and ".join(map(str, paths.values()))
    return Collection(where, items, sum(counts.values()), (*size, settings.channels or 3))


def _items(path: Path, part: str, split: int | None, start: int, stop: int) -> Iterator[Item]:
    """The values of a database from number `start` up to `stop`, in the order of their keys, in little memory."""
    last = None
    while start < stop:
        with _opened(path) as database, database.cursor() as cursor:
            if last is None:
                there = cursor.first() and all(cursor.next() for _ in range(start))
            else:
                there = cursor.set_key(last) and cursor.next()
            read = 0
            while there and start < stop and read < REOPEN_BYTES:
                last, value = cursor.item()
                yield Item(identity(f"{part}/{last.decode(errors='backslashreplace')}"), value, split=split)
                start, read, there = start + 1, read + len(value), cursor.next()
        if not there:
            return


def _count(path: Path) -> int:
    """The number of values. Raises `UserError` if the file is cut short, or if none of the first is a picture."""
    with _opened(path) as database, database.cursor() as cursor:
        if any(not isinstance(attempt(open_picture, value), str) for _, value in islice(cursor, LOOKED_AT)):
            return database.stat()["entries"]
    raise UserError(f"{path} holds no pictures: its first values are neither JPEG nor WebP; is it a database of LSUN?")


@contextmanager
def _opened(path: Path) -> Iterator[lmdb.Transaction]:
    """A database that is only read; whatever turns out to be broken inside is a `UserError`."""
    if not (path / DATA).is_file() or (path / DATA).stat().st_size == 0:
        raise UserError(f"{path} holds no {DATA}, or an empty one: it is no database of LMDB, or not unpacked whole")
    try:
        with lmdb.open(str(path), readonly=True, lock=False, create=False, readahead=False) as database:
            pages = database.info()["last_pgno"] + 1
            if pages * database.stat()["psize"] > (path / DATA).stat().st_size:
                raise UserError(f"{path / DATA} is cut short: fetch it again")
            with database.begin() as transaction:
                yield transaction
    except (lmdb.Error, OSError) as error:
        raise UserError(f"{path} cannot be read as a database of LMDB: {error}; fetch it again") from None
