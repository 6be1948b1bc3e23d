"""Sweeps: the same codes under several conditions, and one condition along the principal directions of the codes."""

import numpy as np

from glo.data.projection import project
from glo.inference.decoder import Decoder
from glo.samplers.gaussian import Gaussian


def conditions(decoder: Decoder, codes: np.ndarray, swept: np.ndarray) -> np.ndarray:
    """Decode codes float32 [n, d], each under m conditions, float32 [n, m, k]: images uint8 [n, m, H, W, C]."""
    n, m, k = swept.shape
    images = decoder.images(np.repeat(codes, m, axis=0), swept.reshape(n * m, k))
    return images.reshape(n, m, *images.shape[1:])


def directions(
    decoder: Decoder, codes: np.ndarray, condition: np.ndarray, positions: np.ndarray, count: int, projection: str
) -> np.ndarray:
    """Decode points of the lines through the mean of the codes along their leading principal directions.

    codes: float32 [n, d]. condition: of all images, float32 [k]. positions: [p], in standard deviations along the
    direction. count: of the directions, fewer if d is less. projection: as in `project`.
    Returns images uint8 [min(count, d), p, H, W, C].
    """
    gaussian = Gaussian.fit(codes, 0)
    variances, axes = np.linalg.eigh(gaussian.covariance)
    leading = (axes * np.sqrt(np.maximum(variances, 0))).T[::-1][:count]
    swept = gaussian.mean + positions[:, None] * leading[:, None]
    swept = project(swept.reshape(-1, codes.shape[1]).astype(np.float32), projection)
    images = decoder.images(swept, np.tile(condition, (len(swept), 1)))
    return images.reshape(len(leading), len(positions), *images.shape[1:])
