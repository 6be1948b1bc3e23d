"""Codes that are held out when a sampler is fitted, and the distance of drawn codes from them."""

import numpy as np
from scipy.spatial.distance import cdist

from glo.data.randomness import Stream, permutation

SHARE = 0.1  # of the codes are held out


def split(n: int, seed: int, stream: Stream = Stream.SAMPLER_HELD_OUT) -> tuple[np.ndarray, np.ndarray]:
    """Split n codes at random into rows to fit and held-out rows, int64, ascending.

    A tenth is held out, but at least one code; of a single code, none.
    """
    order = permutation(n, seed, stream)
    count = min(n - 1, max(1, round(SHARE * n)))
    return np.sort(order[count:]), np.sort(order[:count])


def energy_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Energy distance 2 E|x - y| - E|x - x'| - E|y - y'| of codes [n, d] and [m, d] (Szekely and Rizzo, 2013).

    The expected value is 0 for equal distributions. The estimate is unbiased and may be negative; it is nan if n or m
    is below 2.
    """
    if min(len(a), len(b)) < 2:
        return float("nan")
    within = [cdist(x, x).sum() / (len(x) * (len(x) - 1)) for x in (a, b)]
    return float(2 * cdist(a, b).mean() - sum(within))
