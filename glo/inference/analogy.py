"""Analogies of codes: A is to B as C is to D, where D = C + B - A."""

import numpy as np

from glo.data.projection import project
from glo.inference.decoder import Decoder
from glo.inference.interpolation import linear


def parallelogram(codes: np.ndarray, rows: np.ndarray, columns: np.ndarray, projection: str) -> np.ndarray:
    """Interpolate bilinearly between A, B, C and D = C + B - A; all codes are projected, D before the others.

    codes: A, B and C, float32 [3, d]. rows, columns: positions in [0, 1]; A is at (0, 0), B at (0, 1), C at (1, 0) and
    D at (1, 1). projection: as in `project`. Returns float32 [len(rows), len(columns), d].
    """
    a, b, c = codes
    d = project((c + b - a)[None], projection)[0]
    filled = bilinear(np.stack([a, b, c, d]), rows, columns)
    return project(np.concatenate(filled), projection).reshape(filled.shape)


def bilinear(corners: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Interpolate between A, B, C and D, float32 [4, k], with positions as in `parallelogram`: float32 [r, c, k]."""
    a, b, c, d = corners
    edges = zip(linear(a, c, rows), linear(b, d, rows), strict=True)
    return np.stack([linear(*ends, columns) for ends in edges])


def complete(
    decoder: Decoder, codes: np.ndarray, conditions: np.ndarray, rows: np.ndarray, columns: np.ndarray, projection: str
) -> tuple[np.ndarray, np.ndarray]:
    """Codes float32 [r, c, d] of `parallelogram`, and their images uint8 [r, c, H, W, C].

    codes: A, B and C, float32 [3, d]. conditions: of A, B, C and D, float32 [4, k], interpolated in the same way.
    """
    filled, under = parallelogram(codes, rows, columns, projection), bilinear(conditions, rows, columns)
    images = decoder.images(np.concatenate(filled), np.concatenate(under))
    return filled, images.reshape(*filled.shape[:2], *images.shape[1:])
