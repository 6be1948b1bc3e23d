"""Get the official files of a dataset: download them from mirrors, or locate them in a folder that the user names.

Downloads are verified by their checksums, so that mirrors with plain HTTP can be used.
"""

import hashlib
import logging
import os
from dataclasses import dataclass
from pathlib import Path

from datasets.transfer import MirrorError, download
from glo.runtime import files
from glo.runtime.errors import UserError

MAX_SIZE = 4 << 30  # limit in bytes of a download whose size is not known
ADVICE = "put it in a folder, and pass --source FOLDER"  # if a file of a dataset cannot be downloaded
LARGE = 256 << 20  # bytes; the checksum of a larger file takes so long that the log announces it

log = logging.getLogger("glo")


@dataclass(frozen=True)
class RemoteFile:
    """An official file of a dataset.

    name: its official name.
    urls: full addresses, which are tried in order.
    sha256, md5: checksum of the file in lower-case hexadecimal. `md5` is used only if `sha256` is None.
    size: in bytes; None if not known.
    alternatives: other names that `locate` accepts for the same content, unpacked or in another compression. A name
        that ends in a slash is the name of a folder.
    """

    name: str
    urls: tuple[str, ...]
    sha256: str | None = None
    size: int | None = None
    alternatives: tuple[str, ...] = ()
    md5: str | None = None

    @property
    def algorithm(self) -> str:
        return "sha256" if self.sha256 else "md5"

    def matches(self, path: Path) -> bool:
        """Whether the file at `path` has the official checksum."""
        if path.stat().st_size > LARGE:
            log.info("comparing the %s of %s", self.algorithm, path)
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, self.algorithm).hexdigest() == (self.sha256 or self.md5)


def fetch(file: RemoteFile, folder: Path, mirror: str | None = None, advice: str = ADVICE) -> Path:
    """Download a file into `folder`, unless it is already there with the official checksum. Returns its path.

    mirror: address of a folder that is tried before the file's own `urls`. advice: what to do with a copy of the file,
        for the error message.
    The download is written to `<name>.part`, which a later call continues, and is renamed once its size and checksum
    are verified.
    Raises `UserError` if all mirrors fail, with the reason for each, or if `folder` cannot be written to.
    """
    target, part = folder / file.name, folder / f"{file.name}.part"
    urls = file.urls if mirror is None else (f"{mirror.rstrip('/')}/{file.name}", *file.urls)
    reasons = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if target.is_file() and file.matches(target):
            return target
        for url in urls:
            try:
                _from_mirror(url, part, file)
            except MirrorError as error:
                reasons.append(f"{url}: {error}")
            else:
                os.replace(part, target)
                return target
    except OSError as error:  # an error of the disk: `download` raises MirrorError for errors of the network
        raise files.cannot_write(target, error) from error
    raise UserError(f"cannot download {file.name} ({'; '.join(reasons)}). Get {file.name} another way, {advice}")


def _from_mirror(url: str, part: Path, file: RemoteFile) -> None:
    """Complete the partial download `part` from one mirror and verify its checksum.

    If the checksum is wrong although the mirror completed an existing partial file, the file is downloaded once more
    from the beginning. Raises `MirrorError` if the mirror fails.
    """
    if part.is_file() and file.matches(part):
        return  # an earlier call was interrupted just before it renamed the file
    continued = part.is_file()
    if continued and file.size is not None and part.stat().st_size >= file.size:
        part.unlink()
        continued = False
    download(url, part, file.size, MAX_SIZE if file.size is None else file.size)
    if file.matches(part):
        return
    part.unlink()
    if not continued:
        raise MirrorError(f"wrong bytes (the {file.algorithm} differs)")
    _from_mirror(url, part, file)


def locate(file: RemoteFile, folder: Path) -> Path:
    """Find a file, under its own or an alternative name, in `folder` or in a folder directly inside it.

    Files without the official checksum are accepted with a warning. If several folders inside hold copies, the official
    one is used. Raises `UserError` if there is no copy, or if there are several and none is official.
    """
    if os.path.isfile(folder):
        raise UserError(f"{folder} is a file; pass the folder that contains it: --source {folder.parent}")
    if not os.path.isdir(folder):
        raise UserError(f"no such folder: {folder}; --source must name the folder with {file.name}")
    try:
        subfolders = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
        copies = _copies(file, [folder]) or _copies(file, subfolders)
        official = [path for path in copies if path.name == file.name and file.matches(path)]
    except OSError as error:
        raise UserError(f"cannot read {error.filename or folder}: {error.strerror or error}") from error
    if official:
        return official[0]
    if not copies:
        names = ", ".join((file.name, *file.alternatives))
        raise UserError(f"{folder} holds none of {names}; put one of them there, or leave --source out to download it")
    if len(copies) > 1:
        choices = ", ".join(str(path.parent) for path in copies)
        raise UserError(f"{copies[0].name} is in several folders: {choices}; pass one of them as --source")
    if copies[0].name == file.name:
        log.warning("%s: its %s is not that of the official file; used as it is", copies[0], file.algorithm)
    else:
        log.warning("%s: not the official archive, checksum not checked; used as it is", copies[0])
    return copies[0]


def _copies(file: RemoteFile, folders: list[Path]) -> list[Path]:
    """One copy of `file` for each folder that has any. The official name is preferred, then the first alternative."""
    names = (file.name, *file.alternatives)
    copies = ([folder / name for name in names if _exists(folder, name)] for folder in folders)
    return [paths[0] for paths in copies if paths]


def _exists(folder: Path, name: str) -> bool:
    """Whether `folder` has a file `name`, or a folder if the name ends in a slash."""
    return (folder / name).is_dir() if name.endswith("/") else (folder / name).is_file()
