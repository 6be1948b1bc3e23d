"""Projection of codes onto the unit ball or sphere, in NumPy. Training uses the TensorFlow version in `glo.model`."""

import numpy as np


def project(codes: np.ndarray, projection: str) -> np.ndarray:
    """Project each row z of `codes`, float [n, d]. Returns an array of the same shape and dtype.

    projection: `ball` is z / max(1, |z|), `sphere` is z / |z| (a zero row is unchanged), `none` returns the codes as
    they are.
    """
    if projection == "none":
        return codes
    norms = np.linalg.norm(codes, axis=1, keepdims=True)
    smallest_divisor = 1.0 if projection == "ball" else np.finfo(np.float32).tiny
    return (codes / np.maximum(norms, smallest_divisor)).astype(codes.dtype)
