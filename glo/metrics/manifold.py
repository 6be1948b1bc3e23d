"""Precision and recall (Kynkäänniemi et al. 2019), density and coverage (Naeem et al. 2020) of generated features."""

import numpy as np
from sklearn.metrics import pairwise_distances_chunked

NEIGHBORS = 5
MEGABYTES = 128  # of distances in memory at once


def prdc(real: np.ndarray, generated: np.ndarray) -> dict[str, float]:
    """Precision, recall, density and coverage of real [n, d] and generated [m, d] features, n and m > `NEIGHBORS`.

    Each sample is the centre of a ball that reaches to its 5th nearest neighbor (`NEIGHBORS`) in its own set.

    precision: share of generated samples that lie in the ball of any real sample.
    recall: share of real samples that lie in the ball of any generated sample.
    density: mean number of real balls that contain a generated sample, divided by 5; may exceed 1.
    coverage: share of real balls that contain a generated sample.
    All are about 1 (coverage 0.97) for two samples of the same distribution.
    """
    real, generated = real.astype(np.float64), generated.astype(np.float64)
    real_radii, generated_radii = _radii(real), _radii(generated)
    n_in_real_balls, n_pairs = 0, 0
    covered, in_generated_ball = np.zeros(len(real), bool), np.zeros(len(real), bool)
    start = 0
    for distances in pairwise_distances_chunked(generated, real, working_memory=MEGABYTES):
        within = distances < real_radii
        n_in_real_balls += int(within.any(axis=1).sum())
        n_pairs += int(within.sum())
        covered |= within.any(axis=0)
        in_generated_ball |= (distances < generated_radii[start : start + len(distances), None]).any(axis=0)
        start += len(distances)
    return {
        "precision": n_in_real_balls / len(generated),
        "recall": float(in_generated_ball.mean()),
        "density": n_pairs / (NEIGHBORS * len(generated)),
        "coverage": float(covered.mean()),
    }


def _radii(features: np.ndarray) -> np.ndarray:
    """Distance [n] of each sample of [n, d] to its `NEIGHBORS`-th nearest neighbor."""

    def kth_distance(distances: np.ndarray, _: int) -> np.ndarray:
        return np.partition(distances, NEIGHBORS, axis=1)[:, NEIGHBORS]  # index 0 is the sample itself

    chunks = pairwise_distances_chunked(features, reduce_func=kth_distance, working_memory=MEGABYTES)
    return np.concatenate(list(chunks))
