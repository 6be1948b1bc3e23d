"""Random numbers as a pure function of a seed and a named stream. No generator state is shared or saved."""

from enum import IntEnum

import numpy as np


class Stream(IntEnum):
    """The purpose of a random choice. Streams with the same seed are independent of each other.

    Never change or reuse a number, because existing runs depend on them: `SPLIT` and `SUBSET`, for example, determine
    which rows a run was trained on.
    """

    BATCHES = 0  # epoch e uses the stream BATCHES + e
    SPLIT = 2**63 - 1
    SUBSET = 2**63 - 2
    GRID_IMAGES = 2**63 - 3
    INITIAL_CODES = 2**63 - 4
    PCA_IMAGES = 2**63 - 5
    PCA_DIRECTIONS = 2**63 - 6
    SELECTED_SAMPLES = 2**63 - 7
    CONTACT_SHEET = 2**63 - 8
    ALTERED_COPIES = 2**63 - 9
    CODE_NOISE = 2**63 - 10
    PROGRESS_HELD_OUT = 2**63 - 11
    PROGRESS_SAMPLES = 2**63 - 12
    SAMPLES = 2**63 - 13
    SAMPLER_HELD_OUT = 2**63 - 14
    SAMPLER_SCORES = 2**63 - 15
    GMM_HELD_OUT = 2**63 - 16
    GMM_KMEANS = 2**63 - 17
    KDE_HELD_OUT = 2**63 - 18
    KDE_SCORED = 2**63 - 19
    IMLE = 2**63 - 20
    FLOW = 2**63 - 21
    SHOWN_RECONSTRUCTIONS = 2**63 - 22
    FITTED_IMAGES = 2**63 - 23
    FITTING_STARTS = 2**63 - 24
    PAIRS = 2**63 - 25
    ADDED_NOISE = 2**63 - 26
    MEMORIZATION_IMAGES = 2**63 - 27
    MEASURED_HELD_OUT = 2**63 - 28
    MEASURED_TRAINING = 2**63 - 29
    DECODED_STARTS = 2**63 - 30
    SAMPLED_CONDITIONS = 2**63 - 31
    SWEPT_IMAGES = 2**63 - 32
    CODE_ROTATIONS = 2**63 - 33
    GRAPH_CODES = 2**63 - 45
    PROJECTED_CODES = 2**63 - 51
    LEFT_OUT_NEIGHBORS = 2**63 - 52
    ENCODER_CODES = 2**63 - 61
    ENCODER_SHIFTS = 2**63 - 62
    VERDICT_IMAGES = 2**63 - 63
    SHARDS = 2**63 - 71
    DIRECTION_CODES = 2**63 - 81
    EDITED_IMAGES = 2**63 - 82
    EXPLORER_STOCK = 2**63 - 91
    COPYING_CELLS = 2**63 - 101
    COPYING_HALVES = 2**63 - 102
    MEMBERSHIP = 2**63 - 103
    KID_SUBSETS = 2**63 - 104
    VALIDATION_HALVES = 2**63 - 105
    COPYING_TRAINING = 2**63 - 106
    POSTERIOR_NOISE = 2**63 - 111
    GENERATED_CODES = 2**63 - 112
    SUBSPACE = 2**63 - 113
    CODED_IMAGES = 2**63 - 114
    INVERSION_STARTS = 2**63 - 115
    PENALTY_DIRECTIONS = 2**63 - 116
    MIDPOINTS = 2**63 - 117
    UNFITTED_CODES = 2**63 - 118
    LEADING = 2**63 - 121
    CONTRASTED_IMAGES = 2**63 - 122
    RECOGNISED_IMAGES = 2**63 - 123
    MEASURED_RECONSTRUCTIONS = 2**63 - 124


def random_generator(seed: int, stream: int, part: int = 0) -> np.random.Generator:
    """A NumPy generator for one purpose.

    seed: 0 to 2**32 - 1. stream: a member of `Stream`, plus the epoch for `Stream.BATCHES`. part: divides a stream into
    independent parts, 0 to 2**64 - 1.
    """
    return np.random.Generator(np.random.Philox(key=[seed, stream], counter=[0, 0, 0, part]))


def permutation(n: int, seed: int, stream: int, part: int = 0) -> np.ndarray:
    """A random permutation of range(n), int64 [n]. seed, stream, part: see `random_generator`."""
    return random_generator(seed, stream, part).permutation(n)
