"""Images along paths between pairs of codes: a straight line, an arc, or the nearest-neighbour graph."""

from collections.abc import Callable
from functools import partial

import numpy as np

from glo.data.conditions import unconditional
from glo.inference.decoder import Decoder
from glo.inference.graph import shortest_paths
from glo.inference.interpolation import linear, polyline, slerp

Curve = Callable[[np.ndarray], np.ndarray]  # points [n, d] at positions [n]

CURVES = {"line": linear, "arc": slerp}
PATHS = (*CURVES, "graph")
AT_ONCE = 16  # paths, whose images are in memory together
DENSE = 64  # images by which the speed along a path is first measured
ROUNDS = 6  # measurements, each of which moves the positions; the steps are then equal up to a few per cent


def interpolate(
    decoder: Decoder,
    path: str,
    learned: np.ndarray,
    a: np.ndarray,
    b: np.ndarray,
    steps: int,
    seed: int = 0,
    conditions: tuple[np.ndarray, np.ndarray] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Images at `steps` positions on the path from each code of `a` to that of `b`, float32 [p, d] both, ends included.

    path: one of `PATHS`. Positions are equally spaced on a line or an arc; on `graph`, the path of `shortest_paths`
    through the learned codes float32 [N, d], successive images are equally far apart. seed: of the choice of nodes.
    conditions: of `a` and `b`, float32 [p, k] both, which are interpolated linearly; None for an unconditional model.
    Returns codes float32 [p, steps, d] and images uint8 [p, steps, H, W, C].
    """
    if path == "graph":
        curves = [partial(polyline, knots) for knots in shortest_paths(learned, a, b, seed)]
    else:
        curves = [partial(CURVES[path], *ends) for ends in zip(a, b, strict=True)]
    under = conditions or (unconditional(len(a))[:], unconditional(len(b))[:])
    mixtures = [partial(linear, *ends) for ends in zip(*under, strict=True)]
    parts = [
        _along(decoder, curves[start : start + AT_ONCE], mixtures[start : start + AT_ONCE], steps, path == "graph")
        for start in range(0, len(curves), AT_ONCE)
    ]
    codes, images = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return codes, images


def _along(
    decoder: Decoder, curves: list[Curve], mixtures: list[Curve], steps: int, even: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Codes and images on some paths. curves: their codes by position. mixtures: their conditions by position."""

    def at(curves: list[Curve], positions: np.ndarray) -> np.ndarray:
        return np.stack([curve(t) for curve, t in zip(curves, positions, strict=True)])

    def decode(positions: np.ndarray) -> np.ndarray:
        images = decoder.images(np.concatenate(at(curves, positions)), np.concatenate(at(mixtures, positions)))
        return images.reshape(*positions.shape, *images.shape[1:])

    spaced = np.tile(np.linspace(0, 1, steps), (len(curves), 1))
    positions = even_positions(decode, len(curves), steps) if even else spaced
    return at(curves, positions), decode(positions)


def even_positions(decode: Callable[[np.ndarray], np.ndarray], paths: int, n: int) -> np.ndarray:
    """Find positions on each path such that successive images are equally far apart, by Euclidean distance of pixels.

    decode: generates images uint8 [paths, m, H, W, C] at positions float [paths, m]. n: positions on each path, at
    least 2. Returns float64 [paths, n], from 0 to 1.
    """
    positions = np.tile(np.linspace(0, 1, max(DENSE, n)), (paths, 1))
    for _ in range(ROUNDS):
        images = decode(positions)
        pixels = images.reshape(*images.shape[:2], -1).astype(np.float32)
        lengths = np.cumsum(np.linalg.norm(np.diff(pixels, axis=1), axis=2), axis=1, dtype=np.float64)
        lengths = np.pad(lengths, ((0, 0), (1, 0)))
        shares = np.linspace(0, 1, n)
        positions = np.stack(
            [
                np.interp(shares * length[-1], length, position)
                for length, position in zip(lengths, positions, strict=True)
            ]
        )
        positions[:, 0], positions[:, -1] = 0, 1  # also where the first or last images are equal
    return positions
