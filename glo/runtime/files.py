"""Atomic writes: a file is written under a temporary name beside its target, synced, then renamed.

Also functions that read only regular files, of bounded size.
"""

import errno
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from glo.runtime.errors import UserError

TEMPORARY = ".tmp-"
NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
KINDS = {stat.S_IFIFO: "FIFO", stat.S_IFSOCK: "socket", stat.S_IFCHR: "device", stat.S_IFBLK: "device"}


class WriteError(UserError):
    """The system refused a write, for example because the disk is full or the folder is read-only."""


class SpecialFileError(OSError):
    """A FIFO, a socket or a device lies in the place of a file."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path, and rename the file to `path` when the block ends without an exception.

    The folder is created if it does not exist. After an exception the temporary file is removed and an existing file
    at `path` is unchanged. The temporary name keeps the suffix, because image libraries derive the format from it.
    Raises `WriteError` in place of any `OSError`.
    """
    temporary = path.with_name(f"{TEMPORARY}{os.getpid()}-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():  # noticed now rather than when everything is written
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        yield temporary
        sync(temporary)
        os.replace(temporary, path)
        sync(path.parent)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        with suppress(OSError):  # the temporary file still exists only after an exception or Ctrl-C
            temporary.unlink()


@contextmanager
def replacing_folder(folder: Path, marker: str, force: bool) -> Iterator[Path]:
    """Yield a temporary folder, and rename it to `folder` when the block ends without an exception.

    An existing folder must be empty, unless `force` is True and it holds a file that matches the glob pattern `marker`,
    which shows that the toolkit wrote it: other folders of the user are never removed.
    Raises `UserError` if `folder` may not be replaced, and `WriteError` in place of any `OSError`.
    """
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file: name a folder")
    if folder.is_dir() and any(folder.iterdir()):
        if not any(folder.glob(marker)):
            raise UserError(f"{folder} is not empty and holds no {marker}: name an empty or a new folder")
        if not force:
            raise UserError(f"{folder} is not empty: add --force to replace all of it, or name another folder")
    folder = folder.resolve()
    temporary = folder.with_name(f"{TEMPORARY}{os.getpid()}-{folder.name}")
    previous = folder.with_name(f"{TEMPORARY}{os.getpid()}-older-{folder.name}")
    try:
        temporary.mkdir(parents=True)
        yield temporary
        if folder.exists():
            os.replace(folder, previous)
        os.replace(temporary, folder)
        sync(folder.parent)
    except OSError as error:
        raise cannot_write(folder, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(previous, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write a small UTF-8 text file atomically. Raises `WriteError` if the system refuses."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def remove_temporary(folder: Path) -> None:
    """Remove the temporary files that killed processes left in a folder, which no other process may be writing to."""
    for path in folder.glob(f"{TEMPORARY}*"):
        with suppress(OSError):  # it is ignored everywhere: a file that cannot be removed does no harm
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()


def require_writable(folder: Path) -> None:
    """Create a folder if it does not exist, and check that files can be written to it.

    Commands call this before a long computation. Raises `WriteError` if the folder cannot be created or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise cannot_write(folder, error) from None


def require_space(folder: Path, needed: int, what: str, advice: str = "") -> None:
    """Raise `UserError` if `needed` bytes for `what` are more than the free space of a folder's disk.

    advice: another way out, the last part of the message.
    """
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise UserError(
            f"{what} takes {needed / 1e9:.1f} GB, but only {free / 1e9:.1f} GB are free: free some space there{advice}"
        )


def open_regular(path: Path) -> BinaryIO:
    """Open a file for reading. Raises `OSError` as `regular_size` does."""
    regular_size(path)
    return path.open("rb")


def read_text(path: Path, max_bytes: int, encoding: str = "utf-8") -> str:
    """Read a text file of at most `max_bytes`.

    Raises `OSError` for larger files and as `regular_size` does, and `UnicodeDecodeError` for other encodings.
    """
    with open_regular(path) as file:
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise OSError(errno.EFBIG, f"larger than {max_bytes:,} bytes", str(path))
    return content.decode(encoding)


def regular_size(path: Path) -> int:
    """The size in bytes of a regular file. What a library will open by its path is checked so before.

    Raises `IsADirectoryError` for a folder, `SpecialFileError` for a FIFO, a socket or a device, which could be read or
    waited for without end, and other kinds of `OSError` if the file is missing or cannot be read.
    """
    status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(status.st_mode):
        kind = KINDS.get(stat.S_IFMT(status.st_mode), "special file")
        raise SpecialFileError(errno.EINVAL, f"it is a {kind} and not a regular file", str(path))
    return status.st_size


def sync(path: Path) -> None:
    """Flush a file or a folder to the disk, so that a rename survives a power failure."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def system_error(message: str) -> OSError:
    """The system's error in a message of TensorFlow, "{{function ...}} path; No space left on device [Op:SaveV2]"."""
    return OSError(message.split("; ")[-1].split(" [Op:")[0])


def cannot_write(path: Path, error: OSError) -> WriteError:
    """A `WriteError` with a one-line message for `path` that includes the system's reason."""
    full = "free some space or " if error.errno in NO_SPACE else ""
    return WriteError(f"cannot write {path}: {error.strerror or error}; {full}choose another folder")
