"""Two levels: a mixture of Gaussians for the leading directions of the codes, and a network that predicts the others.

A mixture of all dimensions of codes needs many components to give good images, and then describes single codes: its
samples are copies. The leading principal directions hold most of what is seen in an image. In so few dimensions, a
Gaussian is estimated well from some hundred codes. The other directions depend on them, and are drawn at their expected
values: noise there would only blur the images.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import tensorflow as tf

from glo.data.randomness import Stream, random_generator
from glo.runtime.errors import UserError
from glo.samplers import network
from glo.samplers.gmm import Mixture

LEADING = 32  # dimensions of the mixture, at most half of all
CODES = 400  # for each component, by default
WIDTH = 320
STEPS, BATCH = 2000, 256  # of training the network, at most
VISITS = 8  # of each code in training the network, at most: it memorises the codes after more
PREDICTED = 1 << 14  # codes that are predicted at once
LEAST_VARIANCE = 1e-12  # of a direction, relative to the first one
LEAST_ERROR = 1e-6  # added to the variances of what the network cannot predict


@dataclass(frozen=True)
class Leading:
    """A code is mean + leading @ axes[:l] + others @ axes[l:], with principal directions axes, [d, d].

    base, root, weights, means, covariances: the mixture of `leading`, see `Mixture`.
    first to last_bias: the network from whitened `leading` to `others`, in units of their deviations.
    deviations: standard deviations of `others`, [r]. residual: root of the covariance of what the network cannot
        predict of `others`, in the same units, [r, r], lower triangular.
    """

    mean: np.ndarray
    axes: np.ndarray
    base: np.ndarray
    root: np.ndarray
    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    deviations: np.ndarray
    residual: np.ndarray
    first: np.ndarray
    first_bias: np.ndarray
    inner: np.ndarray
    inner_bias: np.ndarray
    last: np.ndarray
    last_bias: np.ndarray

    SHAPES: ClassVar = {
        "mean": "d", "axes": "dd", "base": "l", "root": "ll", "weights": "k", "means": "kl", "covariances": "kll",
        "deviations": "r", "residual": "rr", **network.shapes("l", "r"),
    }  # fmt: skip

    @classmethod
    def fit(cls, codes: np.ndarray, seed: int, components: int | None = None) -> "Leading":
        """Fit both levels to codes float32 [N, d], d > 1.

        components: of the mixture. By default one for every `CODES` codes. Raises `UserError` if d is 1.
        """
        n, d = codes.shape
        if d == 1:
            raise UserError("--sampler leading needs codes of at least 2 dimensions: use --sampler gmm")
        mean = codes.mean(axis=0, dtype=np.float64)
        variances, axes = np.linalg.eigh(np.cov(codes, rowvar=False, bias=True).reshape(d, d))
        axes, count = axes[:, ::-1].T, min(LEADING, d // 2)
        principal = (codes - mean) @ axes.T
        floor = max(LEAST_VARIANCE * variances[-1], np.finfo(np.float32).tiny)
        deviations = np.sqrt(np.maximum(variances[::-1][count:], floor))
        mixture = Mixture.fit(principal[:, :count].astype(np.float32), seed, components or max(1, n // CODES))
        inputs, targets = mixture.whiten(principal[:, :count]), (principal[:, count:] / deviations).astype(np.float32)
        parameters = _regression(inputs, targets, seed)
        errors = targets - _predict(inputs, parameters)
        covariance = np.atleast_2d(np.cov(errors, rowvar=False, bias=True))
        residual = np.linalg.cholesky(covariance + LEAST_ERROR * np.eye(d - count))
        return cls(
            mean, axes, mixture.mean, mixture.root, mixture.weights, mixture.means, mixture.covariances,
            deviations, residual, *parameters,
        )  # fmt: skip

    def draw(self, n: int, random: np.random.Generator, temperature: float = 1.0) -> np.ndarray:
        leading = self._mixture.draw(n, random, temperature)
        others = _predict(self._mixture.whiten(leading), self._parameters) * self.deviations
        return (np.concatenate([leading, others], axis=1) @ self.axes + self.mean).astype(np.float32)

    @property
    def noise_dimension(self) -> int:
        return self._mixture.noise_dimension

    def transform(self, noise: tf.Tensor, temperature: float) -> tf.Tensor:
        leading = self._mixture.transform(noise, temperature)
        white = (leading - self.base.astype(np.float32)) @ np.linalg.inv(self.root).astype(np.float32)
        others = network.apply(white, *map(tf.constant, self._parameters)) * self.deviations.astype(np.float32)
        return tf.concat([leading, others], axis=1) @ self.axes.astype(np.float32) + self.mean.astype(np.float32)

    def log_likelihood(self, codes: np.ndarray) -> float:
        """Mean log density if `others` are normally distributed around their predictions, in nats per code."""
        principal, count = (codes - self.mean) @ self.axes.T, len(self.base)
        leading, others = principal[:, :count].astype(np.float32), principal[:, count:] / self.deviations
        errors = others - _predict(self._mixture.whiten(leading), self._parameters)
        standardized = np.linalg.solve(self.residual.astype(np.float64), errors.T)
        volume = np.log(np.diag(self.residual)).sum() + np.log(self.deviations).sum()
        normal = -0.5 * np.square(standardized).sum(axis=0).mean() - 0.5 * len(errors.T) * np.log(2 * np.pi) - volume
        return self._mixture.log_likelihood(leading) + float(normal)

    @property
    def _mixture(self) -> Mixture:
        return Mixture(self.base, self.root, self.weights, self.means, self.covariances)

    @property
    def _parameters(self) -> network.Parameters:
        return [getattr(self, name) for name in network.SHAPES]


def _regression(inputs: np.ndarray, targets: np.ndarray, seed: int) -> network.Parameters:
    """Fit the network from inputs float32 [N, l] to targets float32 [N, r] by least squares."""
    random = random_generator(seed, Stream.LEADING)

    def batches(step, parameters):
        rows = random.integers(len(inputs), size=BATCH)
        return inputs[rows], targets[rows]

    def loss(parameters, x, y):
        return tf.reduce_mean(tf.square(network.apply(x, *parameters) - y))

    steps = min(STEPS, max(1, VISITS * len(inputs) // BATCH))
    start = network.initial(inputs.shape[1], WIDTH, targets.shape[1], random)
    return network.train(start, loss, batches, steps, "leading")


def _predict(inputs: np.ndarray, parameters: network.Parameters) -> np.ndarray:
    """Outputs of the network, float32 [n, r], for inputs float32 [n, l]."""
    constants = [tf.constant(array) for array in parameters]
    blocks = (inputs[start : start + PREDICTED] for start in range(0, len(inputs), PREDICTED))
    return np.concatenate([network.apply(tf.constant(block), *constants).numpy() for block in blocks])
