"""Analogies of codes: A is to B as C is to D, where D = C + B - A."""

import numpy as np

from glo.data.projection import project
from glo.inference.interpolation import linear


def parallelogram(codes: np.ndarray, rows: np.ndarray, columns: np.ndarray, projection: str) -> np.ndarray:
    """Interpolate bilinearly between A, B, C and D = C + B - A; all codes are projected, D before the others.

    codes: A, B and C, float32 [3, d]. rows, columns: positions in [0, 1]; A is at (0, 0), B at (0, 1), C at (1, 0) and
    D at (1, 1). projection: as in `project`. Returns float32 [len(rows), len(columns), d].
    """
    a, b, c = codes
    d = project((c + b - a)[None], projection)[0]
    edges = zip(linear(a, c, rows), linear(b, d, rows), strict=True)
    return np.stack([project(linear(*ends, columns), projection) for ends in edges])
