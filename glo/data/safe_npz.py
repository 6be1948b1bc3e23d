"""Reads and writes .npz files of the toolkit's own, which may be damaged or malicious when they are read.

Sizes are checked before memory is allocated, nothing is unpickled, and a checksum covers all that is used: names,
dtypes, shapes and values.
"""

import hashlib
import io
import math
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from glo.runtime import files

CHECKSUM = "checksum"  # name of the array that holds it; older files, and those of others, have none
ZIP64 = b"\1\0"  # starts the only extra field of an entry that NumPy writes, for arrays of 4 GB and more
COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # those of numpy.savez and numpy.savez_compressed
HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


def write(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays by name, and their checksum. Raises `files.WriteError` if the file cannot be written."""
    with files.replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays, **{CHECKSUM: np.array(_checksum(arrays))})


def read(path: Path, max_bytes: int) -> dict[str, np.ndarray]:
    """Read all arrays, which together may take at most `max_bytes` with their headers.

    Raises `ValueError`, with the reason, for a damaged file, and `OSError` if it cannot be read.
    """
    try:
        with files.open_regular(path) as file, zipfile.ZipFile(file) as archive, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of NumPy's parser, about headers in the style of Python 2
            members = archive.infolist()
            if sum(member.file_size for member in members) > max_bytes:
                raise ValueError("its arrays are larger than expected")
            # A damaged length of a comment hides the entries after it, of which the checksum may be one.
            if any(member.comment or member.extra[:2] not in (b"", ZIP64) for member in members):
                raise ValueError("it is damaged: an entry has a comment")
            arrays = {member.filename.removesuffix(".npy"): _array(archive, member) for member in members}
    except (OSError, ValueError):
        raise
    except Exception as error:  # zipfile, zlib and NumPy raise many kinds of exceptions for damaged files
        raise ValueError(f"it is not an .npz file, or it is damaged: {error}") from error
    if len(arrays) != len(members):
        raise ValueError("it holds an array twice")
    checksum = arrays.pop(CHECKSUM, None)
    if checksum is not None and str(checksum) != _checksum(arrays):
        raise ValueError("it is damaged: its checksum differs")
    return arrays


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    if member.compress_type not in COMPRESSIONS:
        raise ValueError(f"{member.filename!a} is compressed in another way than numpy.savez does")
    try:
        return read_array(archive.read(member))
    except ValueError as error:
        raise ValueError(f"{member.filename!a} {error}") from None


def read_array(content: bytes) -> np.ndarray:
    """The array of numbers or texts in the content of an .npy file. Raises `ValueError` with the reason for others."""
    stream = io.BytesIO(content)
    version = npy.read_magic(stream)
    if version not in HEADERS:
        raise ValueError("is in another version of the format")
    shape, fortran_order, dtype = HEADERS[version](stream)
    if dtype.kind not in "biufU" or any(type(side) is not int or side < 0 for side in shape):
        raise ValueError("is not an array of numbers")
    if stream.tell() + dtype.itemsize * math.prod(shape) != len(content):
        raise ValueError("has another size than its header declares")
    values = np.frombuffer(stream.read(), dtype) if dtype.itemsize else np.zeros(math.prod(shape), dtype)
    return values.reshape(shape, order="F" if fortran_order else "C").copy()


def _checksum(arrays: Mapping[str, np.ndarray]) -> str:
    """SHA-256, as hexadecimal text."""
    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype.str} {array.shape} ".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
