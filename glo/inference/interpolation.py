"""Paths between two codes."""

import numpy as np


def linear(a: np.ndarray, b: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Points (1 - t) a + t b of the line segment from a to b.

    a, b: codes float32 [d]. t: positions [n] in [0, 1]. Returns codes float32 [n, d].
    """
    t = t[:, None]
    return ((1 - t) * a + t * b).astype(np.float32)


def slerp(a: np.ndarray, b: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Spherical interpolation (Shoemake, 1985) of the directions of a and b; norms change linearly from |a| to |b|.

    Arguments and result are those of `linear`, which is used instead where the arc is not unique: for parallel,
    opposite or zero codes.
    """
    norm_a, norm_b = np.linalg.norm(a), np.linalg.norm(b)
    cosine = float(a @ b / (norm_a * norm_b)) if norm_a > 0 and norm_b > 0 else 1.0
    angle = np.arccos(np.clip(cosine, -1, 1))
    if np.sin(angle) < 1e-4:
        return linear(a, b, t)
    t = t[:, None]
    direction = (np.sin((1 - t) * angle) * a / norm_a + np.sin(t * angle) * b / norm_b) / np.sin(angle)
    return (direction * ((1 - t) * norm_a + t * norm_b)).astype(np.float32)


def polyline(knots: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Points of the open polygon through the knots, codes float32 [m, d]; segments take equal shares of t.

    t: positions [n] in [0, 1]. Returns codes float32 [n, d].
    """
    scaled = t * (len(knots) - 1)
    start = np.clip(np.ceil(scaled).astype(int) - 1, 0, None)
    share = (scaled - start)[:, None]
    return ((1 - share) * knots[start] + share * knots[np.minimum(start + 1, len(knots) - 1)]).astype(np.float32)


def loop(keys: np.ndarray, frames: int) -> np.ndarray:
    """Points of the closed polygon through the keys, float [m, ...], from the first on: float32 [frames, ...].

    They are equally spaced from key to key, and the last one precedes the first.
    """
    positions = len(keys) * np.arange(frames) / frames
    start = positions.astype(int)
    share = (positions - start).reshape(-1, *[1] * (keys.ndim - 1))
    return ((1 - share) * keys[start] + share * keys[(start + 1) % len(keys)]).astype(np.float32)
