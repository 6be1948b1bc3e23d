"""Verdicts on fits: whether an image is like the training data, judged by its loss.

The losses of codes fitted to held-out images show which losses new images of the same kind have. An image far above
them is not one that the generator can make, and its code should not be trusted.
"""

import numpy as np

LIKE, UNUSUAL, UNLIKE = VERDICTS = ("like the training data", "unusual", "not like the training data")
INNER, OUTER = 1.5, 3.0  # Tukey's fences: a value is outside, or far outside, this many interquartile ranges above


def fences(losses: np.ndarray) -> tuple[float, float]:
    """The losses above which an image is unusual, and above which it is unlike the training data.

    losses: of fitted held-out images, float [n]. The fences are those of Tukey (1977) for the logarithms of losses,
    which are spread more evenly than losses.
    """
    logarithms = np.log(np.maximum(losses.astype(np.float64), np.finfo(np.float32).tiny))
    lower, upper = np.quantile(logarithms, [0.25, 0.75])
    inner, outer = (float(np.exp(upper + share * (upper - lower))) for share in (INNER, OUTER))
    return inner, outer


def judge(losses: np.ndarray, held_out: np.ndarray) -> list[str]:
    """One of `VERDICTS` for each loss, float [n]. held_out: losses of fitted held-out images, float [m]."""
    return [VERDICTS[index] for index in np.searchsorted(fences(held_out), losses, side="left")]
