"""Open a file that may be compressed. The compression is detected from the content, not from the file name."""

import bz2
import gzip
import lzma
from pathlib import Path
from typing import BinaryIO

from glo.runtime import files

OPENERS = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\0": lzma.open}  # by the first bytes of the file


def unpacked(path: Path) -> BinaryIO:
    """Open a file for reading and unpack it on the way. Raises `OSError`, also if it is not a regular file."""
    with files.open_regular(path) as file:
        start = file.read(6)
    opener = next((opener for magic, opener in OPENERS.items() if start.startswith(magic)), open)
    return opener(path, "rb")
