"""A trained run: generator and learned codes, ready to sample, encode and decode. `glo.load` gives one."""

from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np

from glo.data.conditions import Conditions
from glo.data.dataset import Dataset, load_dataset
from glo.data.labels import ImageClass
from glo.data.lazy_array import Rows
from glo.data.projection import project
from glo.data.randomness import Stream, permutation, random_generator
from glo.inference import fitting
from glo.inference.decoder import Decoder
from glo.inference.prior import GaussianPrior
from glo.model.codes import unset
from glo.model.glo_model import GloModel
from glo.model.losses import build as build_loss
from glo.runtime import paths
from glo.runtime.log import logger
from glo.samplers import SAMPLERS
from glo.samplers.cache import Fitted, fitted
from glo.samplers.gaussian import Gaussian
from glo.samplers.gmm import components_for
from glo.settings import TrainSettings
from glo.training import checkpoint, manifest
from glo.training.manifest import Manifest

DECODED = 4096  # learned codes whose images are compared with new ones, where the training images are not there


class Run:
    """A trained run, restored from a checkpoint.

    Attributes
    ----------
    prefix : Path of the checkpoint, RUN/model-STEP.
    settings : TrainSettings, all of them, as the run was trained.
    step : training steps taken.
    image_shape : (H, W, C) of the images, C is 1 or 3.
    """

    def __init__(self, prefix: Path, saved: Manifest, dataset: Dataset | None = None, batch_size: int = 256):
        """dataset: the one that the run was trained on, already checked; None looks for it when it is needed."""
        self.prefix, self.step = prefix, saved.step
        self.settings: TrainSettings = saved.resolved(prefix)
        self._manifest, self._given_dataset, self._batch_size = saved, dataset, batch_size
        self._n = saved.training_images
        rows = self._n * (1 + self.settings.copies(self._n))
        conditions = saved.conditions()
        self.model = GloModel(saved.image_shape, unset(rows, saved.dimension), self.settings, conditions)
        checkpoint.restore(self.model, prefix)
        if self.model.conditions is not None:
            conditions = replace(conditions, values=self.model.conditions.numpy())
        self.conditions: Conditions = conditions
        self.image_shape: tuple[int, int, int] = self.model.image_shape
        self.decoder = Decoder(self.model, batch_size)

    @cached_property
    def codes(self) -> np.ndarray:
        """Learned codes of the training images, float32 [n, d], in the order of the dataset's training rows.

        Codes of altered copies (`--augment_to`) are left out.
        """
        return self.model.table.codes[: self._n].numpy()

    @cached_property
    def dataset(self) -> Dataset | None:
        """The dataset that the run was trained on, or None, with a warning, if another one is in its place."""
        if self._given_dataset or not self._dataset_exists():
            return self._given_dataset
        dataset = load_dataset(self.settings)
        if difference := manifest.difference(self._manifest, dataset):
            logger.warning("%s is not what this run was trained on, and is not used: %s", dataset.path, difference)
            return None
        return dataset

    def sample(
        self, n: int, seed: int = 0, sampler: str | None = None, temperature: float | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw new images.

        Parameters
        ----------
        n : number of images.
        seed : equal seeds give equal images.
        sampler : the distribution that is fitted to the learned codes, one of `glo.samplers.SAMPLERS`. By default the
            one that the run's settings name. The fit is kept in the run folder.
        temperature : factor on the noise that codes are made of. By default the run's own with its own sampler, else 1.

        Returns
        -------
        images : uint8 [n, H, W, C].
        codes : float32 [n, d], projected as in training.

        Raises
        ------
        ValueError
            For an unknown sampler, and for a temperature or number that is not positive.
        """
        sampler = sampler or self.settings.sampler
        if sampler not in SAMPLERS:
            raise ValueError(f"sampler must be one of {', '.join(SAMPLERS)}, not {sampler!r}")
        temperature = self.temperature(sampler) if temperature is None else temperature
        if n < 1 or not temperature > 0:
            raise ValueError(f"n and temperature must be positive, not {n} and {temperature}")
        codes = self.fit_sampler(sampler).draw(n, seed, self.settings.projection, temperature)
        return self.decoder.images(codes), codes

    def encode(self, images: np.ndarray, label: int | None = None, steps: int = 200) -> np.ndarray:
        """Find the codes of images by fitting: the generator stands still, codes descend on the run's own loss.

        Each image starts from several codes, and the best is kept: the mean code, and the codes of the nearest
        training images. Where the dataset is not there, those learned codes take their place whose decoded images are
        nearest.

        Parameters
        ----------
        images : uint8 [n, H, W, C] of the run's image shape.
        label : the class of the images, for models that are conditioned on one.
        steps : updates of each code.

        Returns
        -------
        codes : float32 [n, d].

        Raises
        ------
        ValueError
            For images of another shape or dtype, and for a label, since this model has no condition.
        """
        if label is not None:
            raise ValueError("this model is not conditioned on labels: leave label out")
        return self.fit(self._checked(images), build_loss(self.settings.loss), steps)

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Generate the images uint8 [n, H, W, C] of codes float32 [n, d]. Raises `ValueError` for another shape."""
        codes = np.asarray(codes, np.float32)
        if codes.ndim != 2 or codes.shape[1] != self.model.dimension:
            raise ValueError(f"codes must be [n, {self.model.dimension}], not {list(codes.shape)}")
        return self.decoder.images(codes)

    def reconstruct(self, images: np.ndarray) -> np.ndarray:
        """The images uint8 [n, H, W, C] of the codes that `encode` finds for images of that shape and dtype."""
        return self.decode(self.encode(images))

    def temperature(self, sampler: str) -> float:
        """The run's own temperature with its own sampler, 1 with any other, which it was not chosen for."""
        return self.settings.temperature if sampler == self.settings.sampler else 1.0

    def fit_sampler(
        self, name: str, components: int | None = None, image_class: ImageClass | None = None, seed: int = 0
    ) -> Fitted:
        """A sampler fitted to the learned codes, those of one class if it is given; kept in the run folder.

        components: of `gmm`. By default those of the run's settings, fewer for a class with few codes.
        """
        codes = self.codes if image_class is None else self.codes[image_class.among(self.dataset.train_rows)]
        if self.settings.components and not components:
            components = components_for(len(codes), len(self.codes), self.settings.components)
        options = {"components": components} if components and name == "gmm" else {}
        key = image_class.key if image_class else None
        file = paths.sampler(self.prefix.parent, name, self.step, key)
        return fitted(file, name, codes, seed, self.settings.projection, options)

    def fit(
        self,
        images: np.ndarray,
        loss: fitting.Loss,
        steps: int,
        hole: np.ndarray | None = None,
        prior: float = 0.0,
        draws: int = 0,
        seed: int = 0,
    ) -> np.ndarray:
        """Fit codes, float32 [n, d], to images uint8 [n, H, W, C].

        hole: bool [H, W, 1], pixels that the loss does not see. prior: weight of `GaussianPrior`. draws: further
        starts, drawn from the Gaussian of the learned codes by `seed`.
        """
        projection = self.settings.projection
        gaussian = Gaussian.fit(self.codes, seed)
        drawn = project(gaussian.draw(draws, random_generator(seed, Stream.FITTING_STARTS)), projection)
        starts = fitting.starts(images, *self._known, drawn, hole)
        unlikely = GaussianPrior(gaussian, prior) if prior else None
        return fitting.fit(self.model, loss, projection, images, starts, steps, self._batch_size, unlikely, hole)[0]

    @cached_property
    def _known(self) -> tuple[Rows | np.ndarray, np.ndarray]:
        """Images uint8 [m, H, W, C] whose codes are known, and these codes, for fitting to start from."""
        if self.dataset:
            return self.dataset.train_images, self.codes
        codes = self.codes[np.sort(permutation(self._n, 0, Stream.DECODED_STARTS)[:DECODED])]
        return self.decoder.images(codes), codes

    def _dataset_exists(self) -> bool:
        return paths.dataset_file(paths.dataset_folder(self.settings.data_dir, self.settings.dataset)) is not None

    def _checked(self, images: np.ndarray) -> np.ndarray:
        images = np.asarray(images)
        if images.dtype != np.uint8 or images.shape[1:] != self.image_shape:
            shape = ", ".join(map(str, self.image_shape))
            raise ValueError(f"images must be uint8 [n, {shape}], not {images.dtype} {list(images.shape)}")
        return images
