"""Bring the official files here: from the network, mirror by mirror, or from a folder that the user names.

What is fetched is trusted by its checksum alone, so that plain-http mirrors will do.
"""

import hashlib
import logging
import os
from dataclasses import dataclass
from pathlib import Path

from datasets.transfer import MirrorError, download
from glo.runtime.errors import UserError

MAX_SIZE = 4 << 30  # bytes read from a mirror when the true size is not known

log = logging.getLogger("glo")


@dataclass(frozen=True)
class RemoteFile:
    """One official file.

    name: its official name.
    urls: full addresses, tried in turn.
    sha256: of the whole file, lower-case hexadecimal; None where only the `md5` was ever published.
    size: in bytes; None if not known.
    alternatives: other names that `locate` accepts for the same content: unpacked, or compressed otherwise. One that
        ends in a slash is a folder's.
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
        """Whether a file has the right checksum."""
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, self.algorithm).hexdigest() == (self.sha256 or self.md5)


def fetch(file: RemoteFile, folder: Path, mirror: str | None = None) -> Path:
    """Download `file` into `folder` and return its path; a copy with the right checksum is used at once.

    `mirror`, the address of a folder, is tried before the file's own `urls`. A download goes to `<name>.part`, which a
    later call goes on with, and is renamed when its size and checksum are right.
    Raises `UserError` if every mirror fails, naming each with its reason, or if `folder` cannot be written.
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
    except OSError as error:  # the network's own are MirrorErrors: this is the disk's
        raise UserError(
            f"cannot write {file.name} to {folder}: {error.strerror or error}; make room there or choose another folder"
        ) from error
    raise UserError(
        f"cannot download {file.name} ({'; '.join(reasons)}). "
        f"Get {file.name} another way, put it in a folder, and pass --source FOLDER"
    )


def _from_mirror(url: str, part: Path, file: RemoteFile) -> None:
    """Complete `part` from one mirror and check it. A bad leftover of an earlier try gets a second, fresh one."""
    if part.is_file() and file.matches(part):
        return  # interrupted just before the renaming
    leftover = part.is_file()
    if leftover and file.size is not None and part.stat().st_size >= file.size:
        part.unlink()
        leftover = False
    download(url, part, file.size, MAX_SIZE if file.size is None else file.size)
    if file.matches(part):
        return
    part.unlink()
    if not leftover:
        raise MirrorError(f"wrong bytes (the {file.algorithm} differs)")
    _from_mirror(url, part, file)


def locate(file: RemoteFile, folder: Path) -> Path:
    """Find `file`, under its own or an alternative name, in `folder` or one folder below it.

    Content that is not the official archive is used, with a warning. Of several copies in folders below, the official
    one is taken. Raises `UserError` if there is none, or if it cannot be told which of several is meant.
    """
    if folder.is_file():
        raise UserError(f"{folder} is a file; pass the folder it lies in: --source {folder.parent}")
    if not folder.is_dir():
        raise UserError(f"no such folder: {folder}; --source must name the folder with {file.name}")
    try:
        below = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
        found = _named(file, [folder]) or _named(file, below)
        official = [path for path in found if path.name == file.name and file.matches(path)]
    except OSError as error:
        raise UserError(f"cannot read {error.filename or folder}: {error.strerror or error}") from error
    if official:
        return official[0]
    if not found:
        names = ", ".join((file.name, *file.alternatives))
        raise UserError(f"{folder} holds none of {names}; put one of them there, or leave --source out to download it")
    if len(found) > 1:
        choices = ", ".join(str(path.parent) for path in found)
        raise UserError(f"{found[0].name} is in several folders: {choices}; pass one of them as --source")
    if found[0].name == file.name:
        log.warning("%s: its %s is not that of the official file; used as it is", found[0], file.algorithm)
    else:
        log.warning("%s: not the official archive, checksum not checked; used as it is", found[0])
    return found[0]


def _named(file: RemoteFile, folders: list[Path]) -> list[Path]:
    """The best-named copy of `file` in each of `folders` that has any."""
    names = (file.name, *file.alternatives)
    copies = ([folder / name for name in names if _is_there(folder, name)] for folder in folders)
    return [paths[0] for paths in copies if paths]


def _is_there(folder: Path, name: str) -> bool:
    return (folder / name).is_dir() if name.endswith("/") else (folder / name).is_file()
