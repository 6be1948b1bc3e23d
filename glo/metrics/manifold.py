"""Precision and recall (Kynkäänniemi et al. 2019), density and coverage (Naeem et al. 2020) of generated features."""

import numpy as np
from sklearn.metrics import pairwise_distances_chunked

NEIGHBORS = 5
MEGABYTES = 128  # of distances at once


def prdc(real: np.ndarray, generated: np.ndarray) -> dict[str, float]:
    """From features [n, d] and [m, d]; each n, m > `NEIGHBORS`. A sample's ball reaches to its 5th nearest in its set.

    precision: share of generated samples within any real ball. recall: of real samples within any generated ball.
    density: number of real balls around a generated sample, over 5; may exceed 1. coverage: share of real balls that
    hold a generated sample. All are about 1 (coverage 0.97) for two samples of one distribution.
    """
    real, generated = real.astype(np.float64), generated.astype(np.float64)
    real_radii, generated_radii = _radii(real), _radii(generated)
    precise, balls, covered, recalled = 0, 0, np.zeros(len(real), bool), np.zeros(len(real), bool)
    start = 0
    for distances in pairwise_distances_chunked(generated, real, working_memory=MEGABYTES):
        within = distances < real_radii
        precise += int(within.any(axis=1).sum())
        balls += int(within.sum())
        covered |= within.any(axis=0)
        recalled |= (distances < generated_radii[start : start + len(distances), None]).any(axis=0)
        start += len(distances)
    return {
        "precision": precise / len(generated),
        "recall": float(recalled.mean()),
        "density": balls / (NEIGHBORS * len(generated)),
        "coverage": float(covered.mean()),
    }


def _radii(features: np.ndarray) -> np.ndarray:
    """Distance [n] of each sample to its `NEIGHBORS`-th nearest other one."""

    def kth(distances: np.ndarray, _: int) -> np.ndarray:
        return np.partition(distances, NEIGHBORS, axis=1)[:, NEIGHBORS]  # the nearest is the sample itself

    return np.concatenate(list(pairwise_distances_chunked(features, reduce_func=kth, working_memory=MEGABYTES)))
