"""Read an LMDB that may be damaged, by a process of its own: see `datasets.lmdb_child`."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from datasets.lmdb_child import HEADER, LENGTHS
from datasets.picture import MAX_BYTES
from glo.runtime.errors import UserError

DATA = "data.mdb"
BUFFER = 1 << 20  # bytes
PROGRAM = Path(__file__).with_name("lmdb_child.py")


class _Incomplete(Exception):  # noqa: N818 - not an error of the user's
    """The process that reads the database has ended, or declares a record that cannot be one."""


@contextmanager
def opened(path: Path, start: int = 0) -> Iterator[tuple[int, Iterator[tuple[bytes, bytes]]]]:
    """Open the database in a folder, and yield the number of its records and an iterator over them.

    The iterator yields the (key, value) pairs from number `start`, in the order of the keys.
    Raises `UserError`, also inside the block, if the database is missing or damaged, or has fewer records than it says.
    """
    if not (path / DATA).is_file() or (path / DATA).stat().st_size == 0:
        raise UserError(f"{path} holds no {DATA}, or an empty one: it is not an LMDB, or was not unpacked completely")
    # In a session of its own, it does not receive Ctrl-C. It ends when its pipe is closed, whatever ends this process.
    process = subprocess.Popen(
        [sys.executable, "-P", str(PROGRAM), str(path), str(start)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=BUFFER,
        start_new_session=True,
    )
    with process:
        try:
            (count,) = HEADER.unpack(_exactly(process.stdout, HEADER.size))
            if count > (path / DATA).stat().st_size:  # a record takes several bytes
                raise _Incomplete
            yield count, _records(process.stdout, max(0, count - start))
        except _Incomplete:
            process.stdout.close()  # ends the process, if it has not ended
            reason = "it is damaged"
            if process.wait() == 1:
                reason = process.stderr.read().decode("utf-8", "replace").splitlines()[-1]
            raise UserError(f"{path / DATA} cannot be read as an LMDB: {reason}; download it again") from None
        finally:
            process.kill()


def _records(stream: BinaryIO, count: int) -> Iterator[tuple[bytes, bytes]]:
    for _ in range(count):
        key_length, value_length = LENGTHS.unpack(_exactly(stream, LENGTHS.size))
        if max(key_length, value_length) > MAX_BYTES:
            raise _Incomplete
        yield _exactly(stream, key_length), _exactly(stream, value_length)


def _exactly(stream: BinaryIO, length: int) -> bytes:
    content = stream.read(length)
    if len(content) < length:
        raise _Incomplete
    return content
