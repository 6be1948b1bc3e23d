"""Initial codes of a conditional model: the same distribution in every group of images, so that codes hold style alone.

PCA codes tell the class of an image. Training moves codes little, so that it would stay in them.
"""

import numpy as np
from scipy.special import ndtri

from glo.data.randomness import Stream, random_generator

ROTATIONS = 60  # of the codes; after them, a network hardly finds the group


def independent(codes: np.ndarray, groups: np.ndarray, seed: int) -> np.ndarray:
    """Transform codes float32 [n, d] so that they have about the same distribution in every group. groups: int [n].

    After `whiten`, means and covariances agree, but a network still finds the group in what they leave, such as the
    shape of the distribution. The codes of each group are therefore mapped towards a normal distribution by
    rotation-based iterative Gaussianization (Laparra, Camps-Valls, Malo, 2011): codes are rotated, and each coordinate
    of a group is replaced by the normal quantiles of its ranks, `ROTATIONS` times.
    """
    whitened = whiten(codes, groups)
    scale = whitened.std(axis=0)
    normal = whitened / np.where(scale > 0, scale, 1)
    members = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    quantiles = [ndtri((np.arange(len(rows)) + 0.5) / len(rows)).astype(np.float32) for rows in members]
    random, d = random_generator(seed, Stream.CODE_ROTATIONS), codes.shape[1]
    for _ in range(ROTATIONS):
        rotation = np.linalg.qr(random.standard_normal((d, d)))[0].astype(np.float32)
        rotated = normal @ rotation
        for rows, values in zip(members, quantiles, strict=True):
            rotated[rows] = values[rotated[rows].argsort(axis=0).argsort(axis=0)]
        normal = rotated @ rotation.T
    return normal * scale


def whiten(codes: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Give codes float32 [n, d] the same mean and covariance in every group. groups: int [n].

    The mean becomes 0, and the covariance that within groups, C. A code z of a group with mean m and covariance S is
    replaced by (z - m) A^-1 with A = C^-1/2 (C^1/2 S C^1/2)^1/2 C^-1/2. Of all matrices with A C A' = S, this one, the
    optimal transport of normal distributions, changes codes least. Removing the mean alone would leave the covariance,
    in which a network finds the group. In a group of n codes, S is averaged with C, with weights n and d, because few
    codes do not determine it.
    """
    members = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    centred = np.empty(codes.shape)
    for rows in members:
        centred[rows] = codes[rows] - codes[rows].mean(axis=0, dtype=np.float64)
    n, d = codes.shape
    within = centred.T @ centred / n
    root = _power(within, 1 / 2)
    for rows in members:
        own = (centred[rows].T @ centred[rows] + d * within) / (len(rows) + d)
        centred[rows] = centred[rows] @ root @ _power(root @ own @ root, -1 / 2) @ root
    return centred.astype(np.float32)


def _power(covariance: np.ndarray, exponent: float) -> np.ndarray:
    """A power of a symmetric positive matrix [d, d]. Directions without variance are mapped to 0."""
    values, axes = np.linalg.eigh(covariance)
    positive = values > 1e-9 * values.max()
    return axes * np.where(positive, np.where(positive, values, 1) ** exponent, 0) @ axes.T
