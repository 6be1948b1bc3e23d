"""id.txt: the ids of a dataset, one a line, in row order."""

from collections import Counter
from pathlib import Path

from glo.runtime.errors import UserError


def read(path: Path) -> list[str] | None:
    """The ids, blank lines left out; None if there is no such file. Raises `UserError` if an id comes twice."""
    try:
        text = path.read_text(encoding="utf-8-sig")  # some editors put a mark before the first id
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {path}: {error}") from None
    ids = [line for line in text.split("\n") if line.strip()]
    if ids:
        name, times = Counter(ids).most_common(1)[0]
        if times > 1:
            raise UserError(f"{path} lists '{name}' {times} times: every id must be there once")
    return ids


def count(path: Path) -> int | None:
    """The number of ids, in little memory; None if there is no such file."""
    try:
        with path.open(encoding="utf-8-sig") as lines:
            return sum(bool(line.strip()) for line in lines)
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {path}: {error}") from None


def write(path: Path, ids: list[str]) -> None:
    path.write_text("".join(f"{name}\n" for name in ids), encoding="utf-8")
