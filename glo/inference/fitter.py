"""The fitter of a run: it finds codes of new images, from starts that the learned codes and the encoder give."""

from collections.abc import Callable
from functools import cached_property

import numpy as np

from glo.data.dataset import Dataset
from glo.data.lazy_array import Rows
from glo.data.projection import project
from glo.data.randomness import Stream, permutation, random_generator
from glo.inference import fitting, quasi_newton
from glo.inference.decoder import Decoder
from glo.inference.encoder import Encoder
from glo.inference.prior import GaussianPrior
from glo.model.glo_model import GloModel
from glo.model.losses import Loss
from glo.model.losses import build as build_loss
from glo.samplers.gaussian import Gaussian
from glo.settings import TrainSettings

DECODED = 4096  # without the dataset, new images are compared with decoded images of this many learned codes

JUDGED = 256  # held-out images, at most, with whose losses those of other images are compared


class Fitter:
    """Fits codes to images with the frozen generator of a run, `decoder.batch_size` images at a time."""

    def __init__(
        self,
        model: GloModel,
        decoder: Decoder,
        settings: TrainSettings,
        codes: np.ndarray,
        dataset: Callable[[], Dataset | None],
        encoder: Callable[[], Encoder | None],
    ):
        """codes: learned codes of the training images, float32 [n, d].

        dataset, encoder: return those of the run, or None if there is none; they are called when they are needed.
        """
        self._model, self._decoder, self._settings, self._codes = model, decoder, settings, codes
        self._dataset, self._encoder = dataset, encoder

    def fit(
        self,
        images: np.ndarray,
        loss: Loss | None = None,
        steps: int = 200,
        hole: np.ndarray | None = None,
        prior: float = 0.0,
        draws: int = 0,
        seed: int = 0,
        start: str | None = None,
    ) -> np.ndarray:
        """Fit codes, float32 [n, d], to images uint8 [n, H, W, C].

        loss: by default that of the run. hole: bool [H, W, 1], pixels that the loss ignores. prior: weight of
        `GaussianPrior`. draws: number of further starts, drawn from a Gaussian fitted to the learned codes. seed: seed
        of these draws. start: `encoder` (the predicted code alone), `nearest` (all other starts) or `both`; None is
        `both` if there is an encoder. With a hole, it is `nearest`, because encoders are trained on whole images.
        """
        projection = self._settings.projection
        gaussian = Gaussian.fit(self._codes, seed)
        drawn = project(gaussian.draw(draws, random_generator(seed, Stream.FITTING_STARTS)), projection)
        if hole is not None or (start is None and self._encoder() is None):
            start = "nearest"
        parts = []
        if start != "encoder":
            parts.append(fitting.starts(images, *self._candidates, drawn, hole))
        if start != "nearest":
            parts.append(self._encoder().codes(images)[:, None])
        starts = np.concatenate(parts, axis=1)
        gaussian_prior = GaussianPrior(gaussian, prior) if prior else None
        batch_size = self._decoder.batch_size
        codes, _ = fitting.fit(
            self._model, loss or self._loss, projection, images, starts, steps, batch_size, gaussian_prior, hole
        )
        return codes

    def fit_fast(self, images: np.ndarray, steps: int = quasi_newton.STEPS) -> np.ndarray:
        """Fit codes float32 [n, d] to images uint8 [n, H, W, C] by steps of L-BFGS from the codes of the encoder."""
        return self._minimize(self._encoder().codes(images), images, steps)

    def losses(self, images: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """The run's loss of codes float32 [n, d] for each of images uint8 [n, H, W, C], float32 [n]."""
        return self._decoder.losses(codes, images, self._loss)

    @cached_property
    def held_out_losses(self) -> np.ndarray:
        """Losses of at most `JUDGED` fitted held-out images, float32 [m]. Raises `ValueError` if there are none."""
        dataset = self._dataset()
        if dataset is None or not len(dataset.test_rows):
            raise ValueError("a verdict needs held-out images: give the dataset that the run was trained on")
        order = permutation(len(dataset.test_rows), self._settings.seed, Stream.VERDICT_IMAGES)
        images = dataset.images[np.sort(dataset.test_rows[order[:JUDGED]])]
        return self.losses(images, self.fit_fast(images) if self._encoder() else self.fit(images))

    @cached_property
    def _loss(self) -> Loss:
        return build_loss(self._settings.loss)

    @cached_property
    def _minimize(self) -> Callable[[np.ndarray, np.ndarray, int], np.ndarray]:
        return quasi_newton.make_minimizer(self._model, self._settings.projection, self._decoder.batch_size)

    @cached_property
    def _candidates(self) -> tuple[Rows | np.ndarray, np.ndarray]:
        """Images uint8 [m, H, W, C] that new images are compared with, and their codes float32 [m, d]."""
        if dataset := self._dataset():
            return dataset.train_images, self._codes
        codes = self._codes[np.sort(permutation(len(self._codes), 0, Stream.DECODED_STARTS)[:DECODED])]
        return self._decoder.images(codes), codes
