"""The sampler of a run whose settings leave it open, chosen by the learned codes."""

import numpy as np

from glo.data.randomness import Stream, permutation
from glo.samplers.leading import LEADING
from glo.settings.shared import automatic_components

NEIGHBORS = 10
QUERIES, REFERENCES = 1000, 20_000  # codes that are compared, at most
PREDICTED = 0.78  # `unexplained` below this: `leading` predicts the other directions well enough


def compared_rows(n: int, seed: int) -> np.ndarray:
    """Rows of the codes that `choose` compares, a random choice of n, int64 [m], m <= n."""
    return permutation(n, seed, Stream.SAMPLER_CHOICE)[: QUERIES + REFERENCES]


def choose(codes: np.ndarray, n: int) -> tuple[str, int | None]:
    """Choose the sampler of n learned codes, and its number of components.

    codes: those of `compared_rows`, float32 [m, d].

    `leading` if the leading directions of a code predict the others: only then may these be drawn without noise. This
    holds for digits (MNIST: 0.75), but not for clothes (Fashion-MNIST: 0.82) or photographs (1). Otherwise `gmm`.
    """
    if unexplained(codes) < PREDICTED:
        return "leading", None
    return "gmm", automatic_components(n)


def unexplained(codes: np.ndarray) -> float:
    """How badly neighbors in the leading principal directions of codes float32 [m, d] predict the others.

    The mean squared error of the mean of the `NEIGHBORS` nearest neighbors, divided by the variance, averaged over
    directions; infinite if there are too few codes or dimensions. It is about 1.1 if there is nothing to predict.
    """
    m, d = codes.shape
    if d == 1 or m < 10 * NEIGHBORS or not np.isfinite(codes).all():
        return np.inf
    centered = codes - codes.mean(axis=0, dtype=np.float64)
    variances, axes = np.linalg.eigh(np.cov(centered, rowvar=False))
    scales = np.sqrt(np.maximum(variances, np.finfo(np.float32).tiny))
    white = (centered @ axes / scales)[:, ::-1]
    leading, others = np.split(white, [min(LEADING, d // 2)], axis=1)
    count = min(QUERIES, m // 2)
    queries, references = leading[:count], leading[count:]
    squares = np.square(references).sum(axis=1) - 2 * queries @ references.T
    nearest = np.argpartition(squares, NEIGHBORS, axis=1)[:, :NEIGHBORS]
    return float(np.square(others[count:][nearest].mean(axis=1) - others[:count]).mean())
