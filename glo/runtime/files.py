"""Files are written whole or not at all: under a temporary name beside the target, synced, then renamed."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from glo.runtime.errors import UserError

TEMPORARY = ".tmp-"


class WriteError(UserError):
    """The system refused a write: no space, a read-only folder, a quota."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the target's folder (made if missing) and rename it to `path` when the block ends well.

    After an error nothing is left behind and an older `path` is untouched. `OSError` (no space, read-only folder)
    becomes a `WriteError`. The temporary name keeps the suffix, from which picture writers take the format.
    """
    temporary = path.with_name(f"{TEMPORARY}{os.getpid()}-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        sync(temporary)
        os.replace(temporary, path)
        sync(path.parent)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        with suppress(OSError):  # it is there only after an error or Ctrl-C
            temporary.unlink()


@contextmanager
def replacing_folder(folder: Path, ours: str, force: bool) -> Iterator[Path]:
    """Yield a temporary folder beside the target, and rename it to `folder` when the block ends well.

    A target that exists must be empty, or with `force` hold a file that matches `ours`: nothing else of the user's is
    ever removed. Raises `UserError` for any other target, `WriteError` for what the system refuses.
    """
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file: name a folder")
    if folder.is_dir() and any(folder.iterdir()):
        if not any(folder.glob(ours)):
            raise UserError(f"{folder} is not empty and holds no {ours}: name an empty or a new folder")
        if not force:
            raise UserError(f"{folder} is not empty: add --force to replace all of it, or name another folder")
    folder = folder.resolve()
    temporary = folder.with_name(f"{TEMPORARY}{os.getpid()}-{folder.name}")
    older = folder.with_name(f"{TEMPORARY}{os.getpid()}-older-{folder.name}")
    try:
        temporary.mkdir(parents=True)
        yield temporary
        if folder.exists():
            os.replace(folder, older)
        os.replace(temporary, folder)
        sync(folder.parent)
    except OSError as error:
        raise cannot_write(folder, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(older, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write a small UTF-8 text file whole."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def require_writable(folder: Path) -> None:
    """Make a folder, or raise `WriteError` now rather than after long work."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise cannot_write(folder, error) from None


def sync(path: Path) -> None:
    """Flush a file or a folder to the disk, so that a rename survives a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def cannot_write(path: Path, error: OSError) -> WriteError:
    """The one line for a write that the system refused, with the system's reason."""
    return WriteError(f"cannot write {path}: {error.strerror or error}; free some space or choose another folder")
