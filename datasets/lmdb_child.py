"""A program that writes the records of an LMDB to standard output: python lmdb_child.py FOLDER START

liblmdb trusts what it reads, so that a damaged file may end the process that reads it. `datasets.lmdb_file` starts this
program for that reason. It imports nothing of the toolkit, and ends with exit code 1 and one line if liblmdb notices
the damage itself.
"""

import os
import struct
import sys
from collections.abc import Iterator

import lmdb

HEADER = struct.Struct("<Q")  # number of records in the database
LENGTHS = struct.Struct("<QQ")  # of the key and the value, which follow
REOPEN_BYTES = 256 << 20  # pages stay mapped, and count as memory, until the database is closed: reopen it after these


def main(folder: str, start: int) -> None:
    """Write the number of records, then each record from number `start` in the order of the keys."""
    out = sys.stdout.buffer
    with _opened(folder) as database:
        count = database.stat()["entries"]
    out.write(HEADER.pack(count))
    for key, value in _records(folder, start):
        out.write(LENGTHS.pack(len(key), len(value)))
        out.write(key)
        out.write(value)
    out.flush()


def _records(folder: str, start: int) -> Iterator[tuple[bytes, memoryview]]:
    """Yield each key with its value, which is valid until the next one. The database is reopened from time to time."""
    key, has_record = None, True
    while has_record:
        with _opened(folder) as database, database.begin(buffers=True) as transaction, transaction.cursor() as cursor:
            if key is None:
                has_record = cursor.first() and all(cursor.next() for _ in range(start))
            else:
                has_record = cursor.set_key(key) and cursor.next()
            bytes_read = 0
            while has_record and bytes_read < REOPEN_BYTES:
                previous, key = key, bytes(cursor.key())
                if previous is not None and key <= previous:  # pages that refer to each other could be read forever
                    raise lmdb.CorruptedError("its keys are not in order")
                value = cursor.value()
                yield key, value
                bytes_read += len(value)
                has_record = cursor.next()


def _opened(folder: str) -> lmdb.Environment:
    """Open a database for reading. Raises `lmdb.Error` if it is damaged or cut short."""
    database = lmdb.open(folder, readonly=True, lock=False, create=False, readahead=False)
    pages = database.info()["last_pgno"] + 1
    if pages * database.stat()["psize"] > os.path.getsize(os.path.join(folder, "data.mdb")):
        raise lmdb.CorruptedError("it is cut short")
    return database


if __name__ == "__main__":
    try:
        main(sys.argv[1], int(sys.argv[2]))
    except BrokenPipeError:  # the reader needs no more records
        os._exit(0)
    except (lmdb.Error, OSError, MemoryError, SystemError) as error:
        sys.exit(str(error))
