"""The file id.txt: the ids of a dataset, one per line, in row order."""

import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from glo.runtime import files, memory
from glo.runtime.errors import UserError

MAX_ID_BYTES = 4096  # on average; ids are often file names
MEMORY_PER_BYTE = 6  # of the file, for the strings and their counts


def read(path: Path, n: int) -> list[str] | None:
    """The ids without blank lines, or None if there is no such file.

    n: the number of images, which limits the size of the file that is read. The number of ids may differ from it.
    Raises `UserError` if the file cannot be read or an id appears twice.
    """
    with _opened(path, n) as lines:
        if lines is None:
            return None
        memory.require(MEMORY_PER_BYTE * path.stat().st_size, str(path))
        ids = list(lines)
    if ids:
        name, times = Counter(ids).most_common(1)[0]
        if times > 1:
            raise UserError(f"{path} lists '{name}' {times} times: ids must be unique")
    return ids


def count_and_checksum(path: Path, n: int) -> tuple[int, int] | None:
    """The number of ids and their checksum, computed without reading them into memory; None if there is no such file.

    n: as for `read`. Raises `UserError` if the file cannot be read.
    """
    with _opened(path, n) as lines:
        if lines is None:
            return None
        count = checksum = 0
        for name in lines:
            count, checksum = count + 1, _append(checksum, name)
    return count, checksum


def write(path: Path, ids: list[str]) -> None:
    """Write the ids. Raises `OSError`; callers write to a temporary path."""
    path.write_text("".join(f"{name}\n" for name in ids), encoding="utf-8")


def checksum(ids: list[str]) -> int:
    """The CRC-32 of the ids in UTF-8, each followed by a line feed."""
    result = 0
    for name in ids:
        result = _append(result, name)
    return result


def _append(checksum: int, name: str) -> int:
    return zlib.crc32(f"{name}\n".encode(), checksum)


@contextmanager
def _opened(path: Path, n: int) -> Iterator[Iterator[str] | None]:
    """The ids without blank lines, which are read as they are needed, or None if there is no such file."""
    try:
        if (size := files.regular_size(path)) > MAX_ID_BYTES * (n + 1):
            raise UserError(f"{path} is too large, {size} bytes, to list the ids of {n} images")
        with path.open(encoding="utf-8-sig") as lines:  # some editors write a byte order mark before the first id
            yield (line.removesuffix("\n") for line in lines if line.strip())
    except FileNotFoundError:
        yield None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from None
