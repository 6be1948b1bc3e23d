"""Paths between two codes."""

import numpy as np


def linear(a: np.ndarray, b: np.ndarray, t: np.ndarray) -> np.ndarray:
    """The straight line (1 - t) a + t b: codes float32 [d] and positions [n] in [0, 1] to codes float32 [n, d]."""
    t = t[:, None]
    return ((1 - t) * a + t * b).astype(np.float32)


def slerp(a: np.ndarray, b: np.ndarray, t: np.ndarray) -> np.ndarray:
    """The arc from a to b: directions turn evenly (Shoemake's slerp), norms change linearly from |a| to |b|.

    Same arguments as `linear`, which it falls back to where the arc is not defined: parallel, opposite or zero codes.
    """
    norm_a, norm_b = np.linalg.norm(a), np.linalg.norm(b)
    cosine = float(a @ b / (norm_a * norm_b)) if norm_a > 0 and norm_b > 0 else 1.0
    angle = np.arccos(np.clip(cosine, -1, 1))
    if np.sin(angle) < 1e-4:
        return linear(a, b, t)
    t = t[:, None]
    direction = (np.sin((1 - t) * angle) * a / norm_a + np.sin(t * angle) * b / norm_b) / np.sin(angle)
    return (direction * ((1 - t) * norm_a + t * norm_b)).astype(np.float32)


PATHS = {"linear": linear, "slerp": slerp}
