"""Codes that a sampler is not fitted to, and how far drawn codes are from them."""

import numpy as np
from scipy.spatial.distance import cdist

from glo.data.randomness import Stream, permutation

SHARE = 0.1


def split(n: int, seed: int, stream: Stream = Stream.SAMPLER_HELD_OUT) -> tuple[np.ndarray, np.ndarray]:
    """Rows of n codes to fit to and rows to hold out, int64 and ascending: a seeded tenth, none of a single code."""
    order = permutation(n, seed, stream)
    held_out = min(n - 1, max(1, round(SHARE * n)))
    return np.sort(order[held_out:]), np.sort(order[:held_out])


def energy_distance(a: np.ndarray, b: np.ndarray) -> float:
    """2 E|x - y| - E|x - x'| - E|y - y'| of codes [n, d] and [m, d] (Szekely and Rizzo, 2013).

    0 for equal distributions, and unbiased, so that chance can take it below 0. nan with fewer than two codes on a
    side.
    """
    if min(len(a), len(b)) < 2:
        return float("nan")
    within = [cdist(x, x).sum() / (len(x) * (len(x) - 1)) for x in (a, b)]
    return float(2 * cdist(a, b).mean() - sum(within))
