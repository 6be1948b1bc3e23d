"""A trained run, which samples, encodes and decodes. `glo.load` returns it."""

from dataclasses import replace
from functools import cached_property
from os import PathLike
from pathlib import Path

import numpy as np

from glo.data import ids
from glo.data.conditions import Conditions, Label
from glo.data.dataset import Dataset, load_dataset
from glo.data.labels import ImageClass
from glo.data.lazy_array import Rows
from glo.data.projection import project
from glo.data.randomness import Stream, permutation, random_generator
from glo.inference import fitting, projector
from glo.inference.decoder import Decoder
from glo.inference.neighbors import nearest
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

DECODED = 4096  # without the dataset, new images are compared with decoded images of this many learned codes


class Run:
    """A trained run, restored from a checkpoint.

    Attributes
    ----------
    prefix : Path of the checkpoint, RUN/model-STEP.
    settings : TrainSettings of the run.
    step : number of training steps of the checkpoint.
    image_shape : (H, W, C) of the images, where C is 1 or 3.
    """

    def __init__(self, prefix: Path, saved: Manifest, dataset: Dataset | None = None, batch_size: int = 256):
        """dataset: the checked dataset that the run was trained on; None: it is searched for when it is needed."""
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
        """The dataset that the run was trained on, or None if there is none, or (with a warning) if it has changed."""
        if self._given_dataset or not self._dataset_exists():
            return self._given_dataset
        dataset = load_dataset(self.settings)
        if difference := manifest.difference(self._manifest, dataset):
            logger.warning(
                "%s is not the dataset that this run was trained on, and is not used: %s", dataset.path, difference
            )
            return None
        return dataset

    def sample(
        self,
        n: int,
        seed: int = 0,
        sampler: str | None = None,
        temperature: float | None = None,
        label: Label | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Generate new images from codes drawn by a sampler.

        Parameters
        ----------
        n : number of images.
        seed : seed of the codes; the same seed gives the same images.
        sampler : name of the distribution that is fitted to the learned codes, one of `glo.samplers.SAMPLERS`. The
            default is the sampler of the run's settings. The fitted sampler is saved in the run folder.
        temperature : factor on the noise of the sampler. The default is `Run.temperature` of the sampler.
        label : of a conditional model, as in `decode`. By default labels are drawn as they are distributed in training.

        Returns
        -------
        images : uint8 [n, H, W, C].
        codes : float32 [n, d], projected as in training.

        Raises
        ------
        ValueError
            If the sampler or the label is unknown, or if `n` or `temperature` is not positive.
        """
        sampler = sampler or self.settings.sampler
        if sampler not in SAMPLERS:
            raise ValueError(f"sampler must be one of {', '.join(SAMPLERS)}, not {sampler!r}")
        temperature = self.temperature(sampler) if temperature is None else temperature
        if n < 1 or not temperature > 0:
            raise ValueError(f"n and temperature must be positive, not {n} and {temperature}")
        codes = self.fit_sampler(sampler).draw(n, seed, self.settings.projection, temperature)
        conditions = self.draw_conditions(n, seed) if label is None else self.conditions.of(label, n)
        return self.decoder.images(codes, conditions), codes

    def encode(self, images: np.ndarray, label: Label | None = None, steps: int = 200) -> np.ndarray:
        """Fit a code to each image: gradient descent on the loss of the run, with the generator frozen.

        The descent of each image starts from several codes, and the best result is returned. The starts are the mean
        code and the codes of the nearest training images or, without the dataset, the codes whose decoded images are
        nearest.

        Parameters
        ----------
        images : uint8 [n, H, W, C] of the run's image shape.
        label : of a conditional model, as in `decode`. Without it, each image is fitted under every class at first, and
            the class with the least loss goes on.
        steps : number of updates of each code.

        Returns
        -------
        codes : float32 [n, d].

        Raises
        ------
        ValueError
            For images of another shape or dtype, for an unknown label, and for a label of an unconditional model.
        """
        images = self._validate(images)
        conditions = None if label is None else self.conditions.of(label, len(images))
        return self.fit(images, build_loss(self.settings.loss), steps, conditions=conditions).codes

    def classify(self, images: np.ndarray, steps: int = 200) -> np.ndarray:
        """Find the labels of images uint8 [n, H, W, C]: those under which a conditional model fits them best.

        Returns labels int32 [n] as in the dataset, or attributes int32 [n, k]. steps: updates of each code.
        Raises `ValueError` if the model is not conditional, and for images of another shape or dtype.
        """
        if not self.conditions.names:
            raise ValueError("this model is not conditional: it cannot classify")
        fit = self.fit(self._validate(images), build_loss(self.settings.loss), steps)
        return self.conditions.labels(fit.conditions)

    def decode(self, codes: np.ndarray, label: Label | None = None) -> np.ndarray:
        """Generate images of codes.

        Parameters
        ----------
        codes : float32 [n, d].
        label : of a conditional model, for all images or for each: a class by its number or name. If the condition
            consists of attributes: the names of those that are present, as in "Male,Smiling", or 0 and 1 for each
            attribute, [k] or [n, k].

        Returns
        -------
        images : uint8 [n, H, W, C].

        Raises
        ------
        ValueError
            For codes of another shape, for an unknown label, and without a label for a conditional model.
        """
        codes = self._checked_codes(codes)
        if label is None and self.conditions.names:
            raise ValueError(f"this model is conditional: give label, {', '.join(self.conditions.names)}")
        return self.decoder.images(codes, None if label is None else self.conditions.of(label, len(codes)))

    def reconstruct(self, images: np.ndarray, label: Label | None = None) -> np.ndarray:
        """The images uint8 [n, H, W, C] that the codes of `encode` decode to. images, label: as in `encode`."""
        images = self._validate(images)
        conditions = None if label is None else self.conditions.of(label, len(images))
        fit = self.fit(images, build_loss(self.settings.loss), conditions=conditions)
        return self.decoder.images(fit.codes, fit.conditions)

    def class_sweep(self, codes: np.ndarray, label: Label) -> np.ndarray:
        """Decode each code under every class, or with each attribute of its label in turn absent, then present.

        codes: float32 [n, d]. label: as in `decode`; it matters for attributes alone.
        Returns images uint8 [n, m, H, W, C]; m is the number of classes, or twice the number of attributes.
        Raises `ValueError` for an unconditional model and an unknown label.
        """
        return self.decode_under(codes, self.conditions.variations(self.conditions.of(label, len(codes)))[1])

    def decode_under(self, codes: np.ndarray, conditions: np.ndarray) -> np.ndarray:
        """Decode codes float32 [n, d], each under m conditions, float32 [n, m, k]: images uint8 [n, m, H, W, C]."""
        n, m, k = conditions.shape
        images = self.decoder.images(np.repeat(codes, m, axis=0), conditions.reshape(n * m, k))
        return images.reshape(n, m, *self.image_shape)

    def style_sweep(
        self, label: Label | None = None, directions: int = 6, steps: int = 11, strength: float = 2.0
    ) -> np.ndarray:
        """Decode codes along the leading principal directions of the learned codes, through their mean.

        label: of a conditional model, as in `decode`; by default the first class, or the most frequent attributes.
        steps: positions from -strength to strength, in standard deviations along the direction.
        Returns images uint8 [directions, steps, H, W, C]. Raises `ValueError` for an unknown label.
        """
        condition = self.conditions.candidates()[0] if label is None else self.conditions.of(label, 1)[0]
        return self.sweep(self.codes, condition, strength * np.linspace(-1, 1, steps), directions)

    def sweep(self, codes: np.ndarray, condition: np.ndarray, positions: np.ndarray, directions: int) -> np.ndarray:
        """Images uint8 [min(directions, d), p, H, W, C] under one condition float32 [k], see `style_sweep`.

        codes: float32 [n, d], whose principal directions are taken. positions: [p], in standard deviations.
        """
        gaussian = Gaussian.fit(codes, 0)
        variances, axes = np.linalg.eigh(gaussian.covariance)
        leading = (axes * np.sqrt(np.maximum(variances, 0))).T[::-1][:directions]
        swept = gaussian.mean + positions[:, None] * leading[:, None]
        swept = project(swept.reshape(-1, codes.shape[1]).astype(np.float32), self.settings.projection)
        images = self.decoder.images(swept, np.tile(condition, (len(swept), 1)))
        return images.reshape(len(leading), len(positions), *self.image_shape)

    def style_codes(self, image_class: ImageClass | None) -> np.ndarray:
        """The learned codes that describe what differs between the images of a class, float32 [m, d].

        They are the codes of the class, or those of all images (also for None) if the condition determines the class,
        because the codes then hold the rest alone.
        """
        rows = self.dataset.train_rows if image_class else None
        if image_class is None or self.conditions.determine(image_class.members[rows]):
            return self.codes
        return self.codes[image_class.among(rows)]

    def neighbors(self, codes: np.ndarray, k: int = 8) -> tuple[np.ndarray, np.ndarray]:
        """Find the k learned codes nearest to each of codes float32 [n, d].

        Returns Euclidean distances float32 [n, k], nearest first, and rows of `codes`, int64 [n, k].
        Raises `ValueError` for another shape.
        """
        return nearest(self._checked_codes(codes), self.codes, k)

    def write_projector(
        self, folder: str | PathLike[str] | None = None, n: int = 10_000, seed: int = 0, force: bool = False
    ) -> Path:
        """Write the learned codes for TensorBoard's embedding projector, with thumbnails, labels and attributes.

        Parameters
        ----------
        folder : `tensorboard --logdir FOLDER` shows them. By default the run folder.
        n : a seeded choice of at most this many training images.
        force : replace a projector_config.pbtxt that this toolkit has not written.

        Returns
        -------
        folder : Path.

        Raises
        ------
        glo.runtime.errors.UserError
            If the folder cannot be written to, or holds a projector_config.pbtxt of the user.
        """
        folder = self.prefix.parent if folder is None else Path(folder)
        projector.require_free(folder, force)
        projector.write(folder, self.step, [self.training_points(n, seed)])
        return folder

    def training_points(self, n: int, seed: int) -> projector.Points:
        """Points of a seeded choice of at most n training images; decoded images where the dataset is not there."""
        index = np.sort(permutation(self._n, seed, Stream.PROJECTED_CODES)[:n])
        if self.dataset:
            return self.points("training", self.codes[index], self.dataset.train_rows[index])
        names = [str(row) for row in index]
        return projector.Points(
            "training", self.codes[index], self.decoder.images(self.codes[index], self.conditions[index]), names, {}
        )

    def points(self, kind: str, codes: np.ndarray, rows: np.ndarray) -> projector.Points:
        """Points of images of the dataset: their codes float32 [n, d] and their rows in its file, int64 [n]."""
        listed = ids.read(self.dataset.path.with_name(paths.ID_FILE))
        names = [listed[row] if listed else str(row) for row in rows]
        return projector.Points(kind, codes, self.dataset.images[rows], names, projector.columns(self.dataset, rows))

    def temperature(self, sampler: str) -> float:
        """The default temperature of a sampler: for the sampler of the run's settings, theirs; for any other, 1."""
        return self.settings.temperature if sampler == self.settings.sampler else 1.0

    def fit_sampler(
        self, name: str, components: int | None = None, image_class: ImageClass | None = None, seed: int = 0
    ) -> Fitted:
        """Fit a sampler to the learned codes, or to `style_codes` of a class, and save it in the run folder.

        components: number of components of `gmm`. The default is that of the run's settings, or fewer for a class.
        """
        codes = self.style_codes(image_class)
        if self.settings.components and not components:
            components = components_for(len(codes), len(self.codes), self.settings.components)
        options = {"components": components} if components and name == "gmm" else {}
        key = image_class.key if image_class and len(codes) < len(self.codes) else None
        file = paths.sampler(self.prefix.parent, name, self.step, key)
        return fitted(file, name, codes, seed, self.settings.projection, options)

    def draw_conditions(self, n: int, seed: int, image_class: ImageClass | None = None) -> np.ndarray:
        """Conditions float32 [n, k] of random training images, those of one class if it is given."""
        rows = np.arange(self._n) if image_class is None else image_class.among(self.dataset.train_rows)
        return self.conditions[random_generator(seed, Stream.SAMPLED_CONDITIONS).choice(rows, n)]

    def fit(
        self,
        images: np.ndarray,
        loss: fitting.Loss,
        steps: int = 200,
        hole: np.ndarray | None = None,
        prior: float = 0.0,
        draws: int = 0,
        seed: int = 0,
        conditions: np.ndarray | None = None,
    ) -> fitting.Fit:
        """Fit codes to images uint8 [n, H, W, C].

        hole: bool [H, W, 1], pixels that the loss ignores. prior: weight of `GaussianPrior`. draws: number of further
        starts, drawn from a Gaussian fitted to the learned codes. seed: seed of these draws. conditions: of the images,
        float32 [n, k]; if None, each image starts under every condition of a conditional model.
        """
        projection = self.settings.projection
        gaussian = Gaussian.fit(self.codes, seed)
        drawn = project(gaussian.draw(draws, random_generator(seed, Stream.FITTING_STARTS)), projection)
        starts = fitting.starts(images, *self._start_candidates, drawn, hole)
        if conditions is None:
            starts, of_starts = fitting.under_each(starts, self.conditions.candidates())
        else:
            of_starts = np.repeat(conditions[:, None], starts.shape[1], axis=1)
        gaussian_prior = GaussianPrior(gaussian, prior) if prior else None
        return fitting.fit(
            self.model, loss, projection, images, starts, steps, self._batch_size, gaussian_prior, hole, of_starts
        )

    @cached_property
    def _start_candidates(self) -> tuple[Rows | np.ndarray, np.ndarray]:
        """Images uint8 [m, H, W, C] that new images are compared with, and their codes float32 [m, d]."""
        if self.dataset:
            return self.dataset.train_images, self.codes
        rows = np.sort(permutation(self._n, 0, Stream.DECODED_STARTS)[:DECODED])
        return self.decoder.images(self.codes[rows], self.conditions[rows]), self.codes[rows]

    def _dataset_exists(self) -> bool:
        return paths.dataset_file(paths.dataset_folder(self.settings.data_dir, self.settings.dataset)) is not None

    def _checked_codes(self, codes: np.ndarray) -> np.ndarray:
        codes = np.asarray(codes, np.float32)
        if codes.ndim != 2 or codes.shape[1] != self.model.dimension:
            raise ValueError(f"codes must be [n, {self.model.dimension}], not {list(codes.shape)}")
        return codes

    def _validate(self, images: np.ndarray) -> np.ndarray:
        images = np.asarray(images)
        if images.dtype != np.uint8 or images.shape[1:] != self.image_shape:
            shape = ", ".join(map(str, self.image_shape))
            raise ValueError(f"images must be uint8 [n, {shape}], not {images.dtype} {list(images.shape)}")
        return images
