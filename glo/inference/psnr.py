"""Reconstruction quality: averages over all images that do not depend on how the images are batched."""

import math
from dataclasses import dataclass

import numpy as np


@dataclass
class Reconstruction:
    """Sums over images from which averages are computed. Every image counts once; pixels are compared in [0, 1].

    n: number of images. squared, absolute: sums of squared and absolute errors over `values` pixel values.
    psnrs: sum of the PSNRs of the images. losses: sum of their losses.
    """

    n: int = 0
    squared: float = 0.0
    absolute: float = 0.0
    values: int = 0
    psnrs: float = 0.0
    losses: float = 0.0

    def add(self, reconstructed: np.ndarray, images: np.ndarray, losses: np.ndarray) -> None:
        """Add a batch.

        reconstructed: float32 [B, H, W, C] in [-1, 1]. images: uint8, same shape. losses: float32 [B].
        """
        difference = (reconstructed.astype(np.float64) + 1) / 2 - images / 255.0
        self.n += len(images)
        self.squared += float(np.square(difference).sum())
        self.absolute += float(np.abs(difference).sum())
        self.values += difference.size
        self.psnrs += sum(map(psnr, np.square(difference).mean(axis=(1, 2, 3))))
        self.losses += float(losses.astype(np.float64).sum())

    def result(self) -> dict[str, float | int]:
        """Averages over all images added.

        psnr: dB, pooled: of the mean squared error over all pixels of all images. psnr_image_mean: dB, the mean of the
        PSNRs of the images, which is larger, because images with small errors count more. l1: mean absolute error, in
        [0, 1]. loss: mean loss. n: number of images.
        """
        return {
            "psnr": psnr(self.squared / self.values),
            "psnr_image_mean": self.psnrs / self.n,
            "l1": self.absolute / self.values,
            "loss": self.losses / self.n,
            "n": self.n,
        }


def psnr(mean_squared_error: float) -> float:
    """Peak signal-to-noise ratio in dB of pixels in [0, 1]: -10 log10(MSE); at most 100, for an MSE below 1e-10."""
    return -10 * math.log10(max(mean_squared_error, 1e-10))
