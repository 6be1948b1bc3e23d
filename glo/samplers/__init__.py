"""Distributions fitted to the learned codes, from which new codes are drawn (section 5.4 of the paper).

A sampler is a frozen dataclass of arrays, so that it can be saved: `cache.fitted` fits a sampler or reads a saved one.
To add a sampler, write such a class in a file of its own, and add its name to `SAMPLERS` both here and in
`glo.settings.shared`, which cannot import TensorFlow.
"""

from typing import ClassVar, Protocol, Self

import numpy as np
import tensorflow as tf

from glo.samplers.flow import Flow
from glo.samplers.gaussian import Diagonal, Gaussian, Unit
from glo.samplers.gmm import Mixture
from glo.samplers.imle import Matching
from glo.samplers.kde import Kernel
from glo.samplers.leading import Leading


class Sampler(Protocol):
    """A distribution of codes. Its fields are float arrays.

    SHAPES: the axes of each field, one letter an axis; equal letters stand for equal lengths, and d for the dimension
        of the codes.
    """

    SHAPES: ClassVar[dict[str, str]]

    @classmethod
    def fit(cls, codes: np.ndarray, seed: int) -> Self:
        """Fit the distribution to learned codes float32 [N, d]. Equal seeds give equal fits."""

    def draw(self, n: int, random: np.random.Generator, temperature: float = 1.0) -> np.ndarray:
        """Draw n new codes, float32 [n, d], which are not projected.

        temperature: factor on the normal noise from which codes are computed; below 1, codes are more likely and less
            varied.
        """

    @property
    def noise_dimension(self) -> int:
        """Number of standard normal variables from which `transform` computes a code."""

    def transform(self, noise: tf.Tensor, temperature: float) -> tf.Tensor:
        """The sampler as a TensorFlow graph: noise float32 [n, noise_dimension] to codes float32 [n, d]."""

    def log_likelihood(self, codes: np.ndarray) -> float | None:
        """Mean log density of codes [n, d], in nats per code; None for samplers without a closed form."""


SAMPLERS: dict[str, type[Sampler]] = {
    "gaussian": Gaussian,
    "diagonal": Diagonal,
    "unit": Unit,
    "gmm": Mixture,
    "leading": Leading,
    "imle": Matching,
    "flow": Flow,
    "kde": Kernel,
}
