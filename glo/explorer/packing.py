"""Arrays as JSON values, which `page/arrays.js` reads."""

import base64
from typing import Any

import numpy as np


def pack(array: np.ndarray, dtype: str = "float32") -> dict[str, Any]:
    """Describe an array of numbers by its shape, type, and bytes (little-endian) in base64.

    dtype: `float32`, `float16` or `int32`. A float16 array is stored divided by `scale`, by which the page multiplies.
    """
    array = np.asarray(array)
    packed = {"shape": list(array.shape), "dtype": dtype}
    if dtype == "float16":
        packed["scale"] = scale = _scale(array)
        array = array / scale
    data = np.ascontiguousarray(array, np.dtype(dtype).newbyteorder("<")).tobytes()
    return {**packed, "base64": base64.b64encode(data).decode("ascii")}


def _scale(array: np.ndarray) -> float:
    """The power of two that brings the largest magnitude to between 1 and 2.

    Nothing overflows then, and values below 6e-5, the smallest with all digits in float16, are negligible.
    """
    largest = float(np.abs(array).max(initial=0))
    return float(2.0 ** np.floor(np.log2(largest))) if largest > 0 else 1.0
