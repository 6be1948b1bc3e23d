"""The fitter of a run: it finds codes of new images, from starts that the learned codes and the encoder give."""

from collections.abc import Callable
from functools import cached_property

import numpy as np

from glo.data.conditions import Conditions
from glo.data.dataset import Dataset
from glo.data.lazy_array import Rows
from glo.data.projection import project
from glo.data.randomness import Stream, permutation, random_generator
from glo.inference import fitting, quasi_newton
from glo.inference.decoder import Decoder
from glo.inference.encoder import Encoder
from glo.inference.prior import GaussianPrior
from glo.model.glo_model import GloModel
from glo.model.losses import Loss, mse
from glo.samplers.gaussian import Gaussian
from glo.settings import TrainSettings

DECODED = 4096  # without the dataset, new images are compared with decoded images of this many learned codes

JUDGED = 256  # held-out images, at most, with whose losses those of other images are compared


RACE_STEPS = 5  # of L-BFGS under each condition, where the condition of an image is unknown


class Fitter:
    """Fits codes to images with the frozen generator of a run, `decoder.batch_size` images at a time.

    Where the condition of an image is unknown, a conditional model fits it under every candidate for a few steps, and
    the best one goes on.
    """

    def __init__(
        self,
        model: GloModel,
        decoder: Decoder,
        settings: TrainSettings,
        codes: np.ndarray,
        conditions: Conditions,
        dataset: Callable[[], Dataset | None],
        encoder: Callable[[], Encoder | None],
        loss: Callable[[], Loss],
    ):
        """codes, conditions: learned codes of the training images, float32 [n, d], and their conditions.

        dataset, encoder, loss: return those of the run, or None if there is none; they are called when they are needed.
        """
        self._model, self._decoder, self._settings = model, decoder, settings
        self._codes, self._conditions = codes, conditions
        self._dataset, self._encoder, self._loss = dataset, encoder, loss

    def fit(
        self,
        images: np.ndarray,
        loss: Loss | None = None,
        steps: int = 200,
        hole: np.ndarray | None = None,
        prior: float | None = None,
        draws: int = 0,
        seed: int = 0,
        start: str | None = None,
        conditions: np.ndarray | None = None,
    ) -> fitting.Fit:
        """Fit codes to images uint8 [n, H, W, C].

        loss: by default that of the run. hole: bool [H, W, 1], pixels that the loss ignores. prior: weight of
        `GaussianPrior`, by default that of the run's settings. draws: number of further starts, drawn from a Gaussian
        fitted to the learned codes. seed: seed of these draws. start: `encoder` (the predicted code alone), `nearest`
        (all other starts) or `both`; None is `both` if there is an encoder. With a hole, it is `nearest`, because
        encoders are trained on whole images.
        conditions: of the images, float32 [n, k]; None if they are unknown.
        """
        prior = self._settings.fitting_prior if prior is None else prior
        if hole is not None or (start is None and self._encoder() is None):
            start = "nearest"
        gaussian, parts = Gaussian.fit(self._codes, seed), []
        if start != "encoder":
            drawn = gaussian.draw(draws, random_generator(seed, Stream.FITTING_STARTS))
            drawn = project(drawn, self._settings.projection)
            starts = fitting.starts(images, *self._candidates, drawn, hole)
            parts.append(fitting.under_each(starts, self._conditions.candidates(), conditions))
        if start != "nearest":
            possible = self._possible(len(images), conditions)
            encoded = [self._encoder().codes(images, under) for under in possible]
            parts.append((np.stack(encoded, axis=1), np.stack(possible, axis=1)))
        starts, of_starts = (np.concatenate(arrays, axis=1) for arrays in zip(*parts, strict=True))
        return fitting.fit(
            self._model, loss or self._loss(), self._settings.projection, images, starts, steps,
            self._decoder.batch_size, GaussianPrior(gaussian, prior) if prior else None, hole, of_starts, self._scale,
        )  # fmt: skip

    def fit_fast(
        self, images: np.ndarray, steps: int = quasi_newton.STEPS, conditions: np.ndarray | None = None
    ) -> fitting.Fit:
        """Fit codes to images uint8 [n, H, W, C] by steps of L-BFGS from the codes of the encoder.

        conditions: of the images, float32 [n, k]; None if they are unknown.
        """
        encode, possible = self._encoder().codes, self._possible(len(images), conditions)
        if len(possible) == 1:
            return self._improve(images, encode(images, possible[0]), possible[0], steps)
        raced = [self._improve(images, encode(images, under), under, RACE_STEPS) for under in possible]
        best = np.argmin([fit.losses for fit in raced], axis=0), np.arange(len(images))
        codes, conditions = np.stack([fit.codes for fit in raced])[best], np.stack(possible)[best]
        return self._improve(images, codes, conditions, steps)

    @cached_property
    def held_out_losses(self) -> np.ndarray:
        """The run's losses of at most `JUDGED` fitted held-out images, float32 [m].

        Raises `ValueError` if there are none.
        """
        dataset = self._dataset()
        if dataset is None or not len(dataset.test_rows):
            raise ValueError("a verdict needs held-out images: give the dataset that the run was trained on")
        order = permutation(len(dataset.test_rows), self._settings.seed, Stream.VERDICT_IMAGES)
        rows = np.sort(dataset.test_rows[order[:JUDGED]])
        images, conditions = dataset.images[rows], dataset.conditions[rows]
        fit = (self.fit_fast if self._encoder() else self.fit)(images, conditions=conditions)
        return self.losses(images, fit.codes, conditions)

    def losses(self, images: np.ndarray, codes: np.ndarray, conditions: np.ndarray) -> np.ndarray:
        """The run's loss of codes float32 [n, d] under conditions [n, k] for each of images uint8 [n, H, W, C]."""
        return self._decoder.losses(codes, images, self._loss(), conditions)

    def _possible(self, n: int, conditions: np.ndarray | None) -> list[np.ndarray]:
        """The conditions of n images, float32 [n, k], as the only ones; each candidate if they are None."""
        if conditions is not None:
            return [conditions]
        return [np.tile(candidate, (n, 1)) for candidate in self._conditions.candidates()]

    def _improve(self, images: np.ndarray, codes: np.ndarray, conditions: np.ndarray, steps: int) -> fitting.Fit:
        """Take steps of L-BFGS from codes float32 [n, d]; the losses of the fit are squared errors."""
        codes = self._minimize(codes, images, steps, conditions)
        return fitting.Fit(codes, self._decoder.losses(codes, images, mse, conditions), conditions)

    @property
    def _scale(self) -> float:
        """The norm of a typical code: that of GLO's codes is about 1, and other methods have larger ones."""
        return 1.0 if self._settings.method == "glo" else fitting.spread(self._codes)

    @cached_property
    def _minimize(self) -> quasi_newton.Minimizer:
        return quasi_newton.make_minimizer(self._model, self._settings.projection, self._decoder.batch_size)

    @cached_property
    def _candidates(self) -> tuple[Rows | np.ndarray, np.ndarray]:
        """Images uint8 [m, H, W, C] that new images are compared with, and their codes float32 [m, d]."""
        if dataset := self._dataset():
            return dataset.train_images, self._codes
        rows = np.sort(permutation(len(self._codes), 0, Stream.DECODED_STARTS)[:DECODED])
        return self._decoder.images(self._codes[rows], self._conditions[rows]), self._codes[rows]
