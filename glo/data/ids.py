"""The file id.txt: the ids of a dataset, one per line, in row order."""

from collections import Counter
from pathlib import Path

from glo.runtime.errors import UserError


def read(path: Path) -> list[str] | None:
    """The ids without blank lines, or None if there is no such file.

    Raises `UserError` if the file cannot be read or an id appears twice.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")  # some editors write a byte order mark before the first id
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {path}: {error}") from None
    ids = [line for line in text.split("\n") if line.strip()]
    if ids:
        name, times = Counter(ids).most_common(1)[0]
        if times > 1:
            raise UserError(f"{path} lists '{name}' {times} times: ids must be unique")
    return ids


def count(path: Path) -> int | None:
    """The number of ids, counted without reading them into memory, or None if there is no such file.

    Raises `UserError` if the file cannot be read.
    """
    try:
        with path.open(encoding="utf-8-sig") as lines:
            return sum(bool(line.strip()) for line in lines)
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {path}: {error}") from None


def write(path: Path, ids: list[str]) -> None:
    """Write the ids. Raises `OSError`; callers write to a temporary path."""
    path.write_text("".join(f"{name}\n" for name in ids), encoding="utf-8")
