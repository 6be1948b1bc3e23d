"""Projection of codes onto the unit ball or sphere, in NumPy; training projects in TensorFlow (`glo.model.codes`)."""

import numpy as np


def project(codes: np.ndarray, projection: str) -> np.ndarray:
    """Project each row of [n, d]: `ball` z / max(1, |z|), `sphere` z / |z| (a zero row stays), `none` unchanged."""
    if projection == "none":
        return codes
    norms = np.linalg.norm(codes, axis=1, keepdims=True)
    floor = 1.0 if projection == "ball" else np.finfo(np.float32).tiny
    return (codes / np.maximum(norms, floor)).astype(codes.dtype)
