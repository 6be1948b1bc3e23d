"""Read pictures from a zip archive that may be damaged or malicious. Members are read one by one, never extracted."""

import logging
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

from datasets.picture import MAX_BYTES, PictureError, one_line
from glo.runtime import files
from glo.runtime.errors import UserError

# The only compressions that are read. Of bzip2 and LZMA, zipfile unpacks whole blocks, which may have any size.
COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
MAX_RATIO = 20  # of the unpacked size to the size of the archive; pictures can hardly be compressed further
OUTSIDE = re.compile(r"[/\\]|[A-Za-z]:|(.*[/\\])?\.\.([/\\]|$)")  # names that point outside the target folder

log = logging.getLogger("glo")


def pictures(path: Path, suffix: str) -> dict[str, Callable[[], bytes]]:
    """Functions that read the members of an archive, by file name (without folders).

    suffix: of the members to list, such as `.jpg`. Hidden files are left out. The functions may be called from several
    threads, and raise `PictureError` if the member is damaged.
    Raises `UserError` if the file is not a zip archive, if the name of a member points outside the archive's folder, if
    two members have the same name, or if the archive is too large when unpacked.
    """
    try:
        limit = MAX_RATIO * files.regular_size(path)
        log.info("listing the members of %s", path)
        archive = zipfile.ZipFile(path)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}; download it again") from None
    except Exception as error:  # zipfile raises many kinds of exceptions for damaged archives
        raise UserError(f"{path} is not a valid zip archive ({one_line(error)}); download it again") from None
    readers: dict[str, Callable[[], bytes]] = {}
    total = 0
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
    if member.compress_type not in COMPRESSIONS:
        raise PictureError("compressed in another way than pictures in a zip archive usually are")
    try:
        return archive.read(member)
    except Exception as error:  # zipfile raises many kinds of exceptions for damaged members
        raise PictureError(f"damaged in the archive ({one_line(error)})") from None
