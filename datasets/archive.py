"""Members of a zip archive that may be damaged or hostile: looked at, read one by one, never extracted."""

import lzma
import re
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

from datasets.picture import MAX_BYTES, PictureError
from glo.runtime.errors import UserError

MAX_RATIO = 20  # of the bytes of all members to those of the archive; pictures hardly get smaller in one
OUTSIDE = re.compile(r"[/\\]|[A-Za-z]:|(.*[/\\])?\.\.([/\\]|$)")  # names that lead out of the folder they are meant for


def pictures(path: Path, suffix: str) -> dict[str, Callable[[], bytes]]:
    """The members whose names end in `suffix`, by file name, each with a function that reads it.

    Functions may be called by several threads; they raise `PictureError` for a damaged member. Hidden files are left
    out.
    Raises `UserError` for a file that is no zip archive, a name that leads elsewhere, a name that comes twice, and
    sizes that no archive of pictures has.
    """
    try:
        archive = zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        raise UserError(f"{path} is no zip archive, or a damaged one ({error}); fetch it again") from None
    except (OSError, ValueError, NotImplementedError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {path}: {error}; fetch it again") from None
    found: dict[str, Callable[[], bytes]] = {}
    total, limit = 0, MAX_RATIO * path.stat().st_size
    for member in archive.infolist():
        if OUTSIDE.match(member.filename):
            raise UserError(
                f"{path} has a member '{member.filename}', which leads out of its folder: it is not trusted"
            )
        total += member.file_size
        if member.file_size > MAX_BYTES or total > limit:
            raise UserError(f"{path} unpacks to too much at '{member.filename}': it is no archive of pictures")
        name = member.filename.rpartition("/")[2]
        if not name.lower().endswith(suffix) or name.startswith("."):
            continue
        if name in found:
            raise UserError(f"{path} has {name} twice: fetch it again")
        found[name] = lambda member=member: _read(archive, member)
    return found


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    try:
        return archive.read(member)
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, RuntimeError, ValueError) as error:
        # RuntimeError: a password; NotImplementedError, which it includes: a compression
        raise PictureError(f"damaged in the archive ({' '.join(str(error).split())[:100]})") from None
