"""Linear reconstruction, with which the PSNR of a model is compared: PCA of as many dimensions as its codes have."""

from collections.abc import Mapping

import numpy as np

from glo.building.initial_codes import PCACodes, fit_rows, max_components
from glo.data.lazy_array import Rows
from glo.inference.psnr import psnr

FITTED = 20_000  # training images that PCA is fitted to, at most
BLOCK = 1024  # images that are reconstructed at once


def pca_psnr(
    train_images: np.ndarray | Rows, sets: Mapping[str, np.ndarray | Rows], dimension: int, seed: int
) -> dict[str, float]:
    """PSNR in dB, pooled over all pixels, of each set of images uint8 [n, H, W, C] after projection onto PCA.

    train_images: uint8 [N, H, W, C], N > 1, to which the mean and `dimension` components, or as many as there can be,
    are fitted.
    """
    size = int(np.prod(train_images.shape[1:]))
    rows = fit_rows(np.arange(len(train_images)), FITTED, seed)
    pca = PCACodes.fit(train_images[rows], min(dimension, max_components(len(rows), size)), seed)
    return {name: psnr(_squared_error(pca, images) / (len(images) * size)) for name, images in sets.items()}


def _squared_error(pca: PCACodes, images: np.ndarray | Rows) -> float:
    """Sum of squared errors of pixels in [0, 1]."""
    total = 0.0
    for start in range(0, len(images), BLOCK):
        block = images[start : start + BLOCK]
        pixels = block.reshape(len(block), -1) / np.float32(255)
        projected = pca.mean + (pixels - pca.mean) @ pca.components.T @ pca.components
        total += float(np.square(np.clip(projected, 0, 1) - pixels, dtype=np.float64).sum())
    return total
