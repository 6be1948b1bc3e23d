"""Codes in files of other programs, such as the explorer's page: .npy, or JSON."""

import errno
import json
import os
from pathlib import Path

import numpy as np

from glo.data import safe_npz
from glo.runtime import files
from glo.runtime.errors import UserError

MAX_BYTES = 1 << 28


def read(path: Path, dimension: int) -> np.ndarray:
    """Read codes, float32 [n, d], n > 0; a single code may have the shape [d].

    The file is an .npy of numbers, or JSON: a list of codes, or an object with this list as `codes`.
    dimension: d. Raises `UserError` for any other file, another dimension, or numbers that are not finite in float32.
    """
    try:
        codes = _parse(_content(path))
    except (OSError, ValueError, RecursionError, TypeError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UserError(f"--decode {path}: {reason or error}; give codes as .npy or JSON") from None
    codes = codes[None] if codes.ndim == 1 else codes
    if codes.ndim != 2 or not len(codes) or codes.shape[1] != dimension:
        raise UserError(f"--decode {path}: codes of this model are [n, {dimension}], not {list(codes.shape)}")
    with np.errstate(over="ignore"):
        codes = codes.astype(np.float32)
    if not np.isfinite(codes).all():
        raise UserError(f"--decode {path}: some numbers are not finite in float32")
    return codes


def _content(path: Path) -> bytes:
    with files.open_regular(path) as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
    return content


def _parse(content: bytes) -> np.ndarray:
    if content.startswith(b"\x93NUMPY"):
        codes = safe_npz.read_array(content)
    else:
        try:
            value = json.loads(content)
        except ValueError:
            raise ValueError("it is neither an .npy file nor JSON") from None
        try:
            codes = np.asarray(value.get("codes") if isinstance(value, dict) else value)
        except ValueError:  # lists of different lengths
            raise ValueError("its codes have different lengths") from None
    if codes.dtype.kind not in "fiu":
        raise ValueError("it holds no numbers")
    return codes
