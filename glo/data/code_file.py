"""Codes in files of other programs, such as the explorer's page: .npy, or JSON."""

import errno
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from glo.data import safe_npz
from glo.runtime import files
from glo.runtime.errors import UserError

MAX_BYTES = 1 << 28


def read(path: Path, dimension: int, condition_size: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Read codes, float32 [n, d], n > 0, and their conditions, float32 [n, k]; a single code may have the shape [d].

    The file is an .npy of numbers, or JSON: a list of codes, or an object with this list as `codes` and, of a
    conditional model, a list of vectors as `conditions`.
    dimension: d. condition_size: k, 0 for an unconditional model.
    Raises `UserError` for any other file, for other sizes, and for numbers that are not finite in float32.
    """
    try:
        codes, conditions = _parse(_content(path))
    except (OSError, ValueError, RecursionError, TypeError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UserError(f"--decode {path}: {reason or error}; give codes as .npy or JSON") from None
    codes = codes[None] if codes.ndim == 1 else codes
    if codes.ndim != 2 or not len(codes) or codes.shape[1] != dimension:
        raise UserError(f"--decode {path}: codes of this model are [n, {dimension}], not {list(codes.shape)}")
    if conditions is None:
        conditions = np.empty((len(codes), 0))
    if conditions.shape != (len(codes), condition_size):
        raise UserError(
            f"--decode {path}: conditions of this model are [{len(codes)}, {condition_size}], not "
            f"{list(conditions.shape)}; save the codes as JSON, which contains them"
        )
    with np.errstate(over="ignore"):
        codes, conditions = codes.astype(np.float32), conditions.astype(np.float32)
    if not (np.isfinite(codes).all() and np.isfinite(conditions).all()):
        raise UserError(f"--decode {path}: some numbers are not finite in float32")
    return codes, conditions


def _content(path: Path) -> bytes:
    with files.open_regular(path) as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
    return content


def _parse(content: bytes) -> tuple[np.ndarray, np.ndarray | None]:
    """Codes, and conditions if there are any. Raises `ValueError`, with the reason, for other content."""
    if content.startswith(b"\x93NUMPY"):
        return _numbers(safe_npz.read_array(content)), None
    try:
        value = json.loads(content)
    except ValueError:
        raise ValueError("it is neither an .npy file nor JSON") from None
    if not isinstance(value, dict):
        value = {"codes": value}
    conditions = value.get("conditions")
    return _numbers(value.get("codes")), None if conditions is None else _numbers(conditions)


def _numbers(value: Any) -> np.ndarray:
    try:
        numbers = np.asarray(value)
    except ValueError:
        raise ValueError("it holds lists of different lengths") from None
    if numbers.dtype.kind not in "fiu":
        raise ValueError("it holds no numbers")
    return numbers
