"""Read pictures from a zip archive that may be damaged or malicious. Members are read one by one, never extracted."""

import lzma
import re
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

from datasets.picture import MAX_BYTES, PictureError
from glo.runtime.errors import UserError

MAX_RATIO = 20  # of the unpacked size to the size of the archive; pictures can hardly be compressed further
OUTSIDE = re.compile(r"[/\\]|[A-Za-z]:|(.*[/\\])?\.\.([/\\]|$)")  # names that point outside the target folder


def pictures(path: Path, suffix: str) -> dict[str, Callable[[], bytes]]:
    """Functions that read the members of an archive, by file name (without folders).

    suffix: of the members to list, such as `.jpg`. Hidden files are left out. The functions may be called from several
    threads, and raise `PictureError` if the member is damaged.
    Raises `UserError` if the file is not a zip archive, if the name of a member points outside the archive's folder, if
    two members have the same name, or if the archive is too large when unpacked.
    """
    try:
        archive = zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        raise UserError(f"{path} is not a valid zip archive ({error}); download it again") from None
    except (OSError, ValueError, NotImplementedError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {path}: {error}; download it again") from None
    readers: dict[str, Callable[[], bytes]] = {}
    total, limit = 0, MAX_RATIO * path.stat().st_size
    for member in archive.infolist():
        if OUTSIDE.match(member.filename):
            raise UserError(
                f"{path} has a member '{member.filename}', which points outside its folder: the archive is not trusted"
            )
        total += member.file_size
        if member.file_size > MAX_BYTES or total > limit:
            raise UserError(f"{path} is too large when unpacked at '{member.filename}': it is not a picture archive")
        name = member.filename.rpartition("/")[2]
        if not name.lower().endswith(suffix) or name.startswith("."):
            continue
        if name in readers:
            raise UserError(f"{path} contains {name} twice: download it again")
        readers[name] = lambda member=member: _read(archive, member)
    return readers


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    try:
        return archive.read(member)
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, RuntimeError, ValueError) as error:
        # RuntimeError: a password; its subclass NotImplementedError: an unknown compression
        raise PictureError(f"damaged in the archive ({' '.join(str(error).split())[:100]})") from None
