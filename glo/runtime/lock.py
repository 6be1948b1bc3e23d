"""Locks on files. The system releases the lock of a process when the process ends, however it ends."""

import fcntl
from pathlib import Path
from typing import BinaryIO

from glo.runtime.log import logger


class HeldError(Exception):
    """Another process holds the lock."""


def acquire(path: Path) -> BinaryIO:
    """Open a file for appending and lock it. Closing the returned file releases the lock.

    On a file system without locks, logs a warning and goes on.
    Raises `HeldError` if another process has locked the file, and `OSError` if it cannot be opened.
    """
    file = path.open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise HeldError from None
    except OSError as error:
        logger.warning("%s cannot be locked (%s): do not start a second command there", path, error.strerror)
    return file
