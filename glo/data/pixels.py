"""Pixels of any accepted kind -> uint8.

Users hand in uint8, or floating-point pixels in [0, 1] or [-1, 1]. Which of the two ranges is meant can only be told
from all images together (a dark picture of a [-1, 1] set may well lie in [0, 1]), so that there are three steps:

    low, high = float_range(images, where)       # may be folded over many arrays: min of lows, max of highs
    kind = pixel_range(low, high, where)         # "uint8", "unit" or "symmetric"
    pixels = to_uint8(images, kind)
"""

from typing import Literal

import numpy as np

from glo.runtime.errors import UserError

PixelKind = Literal["uint8", "unit", "symmetric"]

DESCRIPTION: dict[PixelKind, str] = {"uint8": "uint8", "unit": "float in [0, 1]", "symmetric": "float in [-1, 1]"}

# A resized or rescaled picture may overshoot its range by some rounding errors of float16 or float32.
SLACK = 1e-3


def float_range(images: np.ndarray, where: str) -> tuple[float, float]:
    """The smallest and the largest value of floating-point `images` (any shape).

    uint8 images, and no images at all, give the empty range (inf, -inf), which min and max fold away.
    `where` names the array in errors. Raises `UserError` for other dtypes and for NaN or infinite pixels.
    """
    if images.dtype != np.uint8 and images.dtype.kind != "f":
        raise UserError(f"{where}: pixels are {images.dtype}; store them as uint8, or as float in [0, 1] or [-1, 1]")
    if images.dtype == np.uint8 or images.size == 0:
        return float("inf"), float("-inf")
    low, high = float(images.min()), float(images.max())
    if not (np.isfinite(low) and np.isfinite(high)):  # min and max pass NaN on
        raise UserError(f"{where}: some pixels are NaN or infinite; remove or repair those images")
    return low, high


def pixel_range(low: float, high: float, where: str) -> PixelKind:
    """Tell the kind of pixels from the range of all of them, as `float_range` gives it; (inf, -inf) is "uint8".

    Raises `UserError` if they lie neither in [0, 1] nor in [-1, 1] (but for `SLACK`).
    """
    if low > high:
        return "uint8"
    if high <= 1 + SLACK and low >= -1 - SLACK:
        return "unit" if low >= -SLACK else "symmetric"
    raise UserError(
        f"{where}: floating-point pixels from {low:g} to {high:g}; bring them into [0, 1] or [-1, 1], or store uint8"
    )


def to_uint8(images: np.ndarray, kind: PixelKind) -> np.ndarray:
    """Pixels of `kind` as uint8 of the same shape: "unit" x -> round(255 x), "symmetric" x -> round(127.5 (x + 1)).

    uint8 images pass unchanged (and uncopied), whatever the kind, so that a set may mix them with floats.
    """
    if images.dtype == np.uint8:
        return images
    if kind == "uint8":
        raise ValueError(f"{images.dtype} pixels are not uint8")
    wide = images.astype(np.float32)  # a copy, worked on in place
    if kind == "symmetric":
        wide += 1
    wide *= 255 if kind == "unit" else 127.5
    return np.clip(np.rint(wide, out=wide), 0, 255, out=wide).astype(np.uint8)
