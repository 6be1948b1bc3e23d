"""Distributions fitted to the learned codes, by name, from which new codes are drawn (section 5.4 of the paper).

A sampler is a frozen dataclass of arrays, so that a fit can be kept in a file: `cache.fitted` fits one, or reads it.
To add one: write such a class in a file named as its flag, name it in `SAMPLERS` here and in `glo.settings.shared`.
"""

from typing import ClassVar, Protocol, Self

import numpy as np
import tensorflow as tf

from glo.samplers.flow import Flow
from glo.samplers.gaussian import Diagonal, Gaussian, Unit
from glo.samplers.gmm import Mixture
from glo.samplers.imle import Matching
from glo.samplers.kde import Kernel


class Sampler(Protocol):
    """Its fields are float arrays, and `SHAPES` names their axes: a letter each, equal letters for equal lengths.

    d is the dimension of the codes.
    """

    SHAPES: ClassVar[dict[str, str]]

    @classmethod
    def fit(cls, codes: np.ndarray, seed: int) -> Self:
        """Fit to learned codes float32 [N, d]."""

    def draw(self, n: int, random: np.random.Generator, temperature: float = 1.0) -> np.ndarray:
        """n new codes, float32 [n, d], not yet projected.

        temperature: factor on the normal noise that codes are made of; below 1 they are likelier and less varied.
        """

    @property
    def noise_dimension(self) -> int:
        """How many standard normal numbers `transform` makes a code of."""

    def transform(self, noise: tf.Tensor, temperature: float) -> tf.Tensor:
        """The sampler as a TensorFlow graph: noise float32 [n, noise_dimension] to codes float32 [n, d]."""

    def log_likelihood(self, codes: np.ndarray) -> float | None:
        """Mean log density of codes [n, d], in nats a code; None where there is no closed form."""


SAMPLERS: dict[str, type[Sampler]] = {
    "gaussian": Gaussian,
    "diagonal": Diagonal,
    "unit": Unit,
    "gmm": Mixture,
    "imle": Matching,
    "flow": Flow,
    "kde": Kernel,
}
NEAR_MEMORISING = ("kde",)  # what they draw lies around single learned codes
