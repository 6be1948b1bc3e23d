"""The sampler of a run whose settings leave it open, chosen by the learned codes."""

import numpy as np

from glo.data.randomness import Stream, permutation
from glo.samplers.leading import LEADING
from glo.settings.shared import automatic_components

NEIGHBORS = 10
QUERIES, REFERENCES = 1000, 20_000  # codes that are compared, at most
PREDICTED = 0.78  # of the variance of the other directions: above, `leading` does not predict them well enough


def choose(codes: np.ndarray, seed: int) -> tuple[str, int | None]:
    """Choose the sampler and its number of components for learned codes float32 [N, d].

    `leading` if the leading directions of a code predict the others: only then may these be drawn without noise. This
    holds for digits (MNIST: 0.75), but not for clothes (Fashion-MNIST: 0.82) or photographs (1). Otherwise `gmm`.
    """
    if unexplained(codes, seed) < PREDICTED:
        return "leading", None
    return "gmm", automatic_components(len(codes))


def unexplained(codes: np.ndarray, seed: int) -> float:
    """How badly neighbors in the leading principal directions predict the others.

    The mean squared error of the mean of the `NEIGHBORS` nearest neighbors, divided by the variance, averaged over
    directions; infinite if there are too few codes or dimensions. It is about 1.1 if there is nothing to predict.
    """
    n, d = codes.shape
    if d == 1 or n < 10 * NEIGHBORS:
        return np.inf
    some = codes[permutation(n, seed, Stream.SAMPLER_CHOICE)[: QUERIES + REFERENCES]].astype(np.float64)
    variances, axes = np.linalg.eigh(np.cov(some, rowvar=False))
    scales = np.sqrt(np.maximum(variances, np.finfo(np.float32).tiny))
    white = ((some - some.mean(axis=0)) @ axes / scales)[:, ::-1]
    leading, others = np.split(white, [min(LEADING, d // 2)], axis=1)
    count = min(QUERIES, len(some) // 2)
    queries, references = leading[:count], leading[count:]
    squares = np.square(references).sum(axis=1) - 2 * queries @ references.T
    nearest = np.argpartition(squares, NEIGHBORS, axis=1)[:, :NEIGHBORS]
    return float(np.square(others[count:][nearest].mean(axis=1) - others[:count]).mean())
