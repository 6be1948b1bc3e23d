"""Conversion of pixels to uint8.

The pixels of a user's images may be uint8, or floating-point in [0, 1] or [-1, 1]. Only all images together show which
of the two ranges is meant: a single image of a set in [-1, 1] may well lie in [0, 1]. The conversion has three steps:

    low, high = float_range(images, where)       # of several arrays: the minimum of `low`, the maximum of `high`
    kind = pixel_range(low, high, where)         # "uint8", "unit" or "symmetric"
    pixels = to_uint8(images, kind)
"""

from typing import Literal

import numpy as np

from glo.runtime.errors import UserError

PixelKind = Literal["uint8", "unit", "symmetric"]

DESCRIPTION: dict[PixelKind, str] = {"uint8": "uint8", "unit": "float in [0, 1]", "symmetric": "float in [-1, 1]"}

# Resized or rescaled images may exceed their range by rounding errors of float16 or float32.
TOLERANCE = 1e-3


def float_range(images: np.ndarray, where: str) -> tuple[float, float]:
    """The smallest and the largest value of floating-point images of any shape.

    For uint8 images and for empty arrays this is the empty range (inf, -inf), which has no effect on a minimum or
    maximum over several arrays. where: names the array in error messages.
    Raises `UserError` for other dtypes, and for pixels that are NaN or infinite.
    """
    if images.dtype != np.uint8 and images.dtype.kind != "f":
        raise UserError(f"{where}: pixels are {images.dtype}; store them as uint8, or as float in [0, 1] or [-1, 1]")
    if images.dtype == np.uint8 or images.size == 0:
        return float("inf"), float("-inf")
    low, high = float(images.min()), float(images.max())
    if not (np.isfinite(low) and np.isfinite(high)):  # min and max are NaN if any pixel is
        raise UserError(f"{where}: some pixels are NaN or infinite; remove or repair those images")
    return low, high


def pixel_range(low: float, high: float, where: str) -> PixelKind:
    """The kind of pixels with the range from `low` to `high`, as `float_range` returns it; (inf, -inf) is "uint8".

    where: names the array in error messages.
    Raises `UserError` if the range lies neither in [0, 1] nor in [-1, 1], up to `TOLERANCE`.
    """
    if low > high:
        return "uint8"
    if high <= 1 + TOLERANCE and low >= -1 - TOLERANCE:
        return "unit" if low >= -TOLERANCE else "symmetric"
    raise UserError(
        f"{where}: floating-point pixels from {low:g} to {high:g}; bring them into [0, 1] or [-1, 1], or store uint8"
    )


def to_uint8(images: np.ndarray, kind: PixelKind) -> np.ndarray:
    """Convert pixels to uint8: round(255 x) if `kind` is "unit", round(127.5 (x + 1)) if it is "symmetric".

    uint8 images are returned unchanged and uncopied for every kind, so that a set may mix them with float images.
    Raises `ValueError` for float images of kind "uint8".
    """
    if images.dtype == np.uint8:
        return images
    if kind == "uint8":
        raise ValueError(f"{images.dtype} pixels are not uint8")
    scaled = images.astype(np.float32)  # a copy, which is modified in place
    if kind == "symmetric":
        scaled += 1
    scaled *= 255 if kind == "unit" else 127.5
    return np.clip(np.rint(scaled, out=scaled), 0, 255, out=scaled).astype(np.uint8)
