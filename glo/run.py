"""A trained run, which samples, encodes and decodes. `glo.load` returns it."""

from collections.abc import Callable
from functools import cached_property
from os import PathLike
from pathlib import Path

import numpy as np

from glo.data import ids
from glo.data.dataset import Dataset, load_dataset
from glo.data.labels import ImageClass
from glo.data.lazy_array import Rows
from glo.data.projection import project
from glo.data.randomness import Stream, permutation, random_generator
from glo.inference import fitting, projector, quasi_newton, verdict
from glo.inference.analogy import parallelogram
from glo.inference.decoder import Decoder
from glo.inference.encoder import Encoder
from glo.inference.neighbors import nearest
from glo.inference.paths import PATHS, interpolate
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
from glo.training import checkpoint, encoder_file, manifest
from glo.training.manifest import Manifest

DECODED = 4096  # without the dataset, new images are compared with decoded images of this many learned codes

JUDGED = 256  # held-out images, at most, with whose losses those of other images are compared


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
        self.model = GloModel(saved.image_shape, unset(rows, saved.dimension), self.settings)
        checkpoint.restore(self.model, prefix, saved)
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
        self, n: int, seed: int = 0, sampler: str | None = None, temperature: float | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Generate new images from codes drawn by a sampler.

        Parameters
        ----------
        n : number of images.
        seed : seed of the codes; the same seed gives the same images.
        sampler : name of the distribution that is fitted to the learned codes, one of `glo.samplers.SAMPLERS`. The
            default is the sampler of the run's settings. The fitted sampler is saved in the run folder.
        temperature : factor on the noise of the sampler. The default is `Run.temperature` of the sampler.

        Returns
        -------
        images : uint8 [n, H, W, C].
        codes : float32 [n, d], projected as in training.

        Raises
        ------
        ValueError
            If the sampler is unknown, or if `n` or `temperature` is not positive.
        """
        sampler = sampler or self.settings.sampler
        if sampler not in SAMPLERS:
            raise ValueError(f"sampler must be one of {', '.join(SAMPLERS)}, not {sampler!r}")
        temperature = self.temperature(sampler) if temperature is None else temperature
        if n < 1 or not temperature > 0:
            raise ValueError(f"n and temperature must be positive, not {n} and {temperature}")
        codes = self.fit_sampler(sampler).draw(n, seed, self.settings.projection, temperature)
        return self.decoder.images(codes), codes

    def encode(self, images: np.ndarray, label: int | None = None, steps: int = 200, fast: bool = False) -> np.ndarray:
        """Fit a code to each image: gradient descent on the loss of the run, with the generator frozen.

        The descent of each image starts from several codes, and the best result is returned. The starts are the mean
        code, the codes of the nearest training images or, without the dataset, the codes whose decoded images are
        nearest, and the code that the encoder predicts, if the checkpoint has one.

        Parameters
        ----------
        images : uint8 [n, H, W, C] of the run's image shape.
        label : the class of the images, for models that are conditioned on one.
        steps : number of updates of each code.
        fast : start from the encoder alone, and take few steps of L-BFGS on the squared error; `steps` has no effect.

        Returns
        -------
        codes : float32 [n, d].

        Raises
        ------
        glo.runtime.errors.UserError
            If `fast` is set and the checkpoint has no encoder, or the encoder of another checkpoint.
        ValueError
            If images have another shape or dtype, or if a label is given, since models have no condition yet.
        """
        if label is not None:
            raise ValueError("this model is not conditioned on labels: leave label out")
        images = self._validate(images)
        return self.fit_fast(images) if fast else self.fit(images, build_loss(self.settings.loss), steps)

    def verdict(self, images: np.ndarray, codes: np.ndarray) -> list[str]:
        """Judge how well codes float32 [n, d] fit images uint8 [n, H, W, C], one of `verdict.VERDICTS` for each.

        The loss of each image is compared with those of fitted held-out images. Raises `ValueError` for images of
        another shape or dtype, for codes of another shape, and without the dataset or held-out images.
        """
        losses = self.losses(self._validate(images), self._validate_codes(codes))
        return verdict.judge(losses, self.held_out_losses)

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Generate the images uint8 [n, H, W, C] of codes float32 [n, d]. Raises `ValueError` for another shape."""
        return self.decoder.images(self._validate_codes(codes))

    def reconstruct(self, images: np.ndarray) -> np.ndarray:
        """Decode the codes of `encode`: images uint8 [n, H, W, C] to reconstructions of the same shape and dtype."""
        return self.decode(self.encode(images))

    def neighbors(self, codes: np.ndarray, k: int = 8) -> tuple[np.ndarray, np.ndarray]:
        """Find the k learned codes nearest to each of codes float32 [n, d].

        Returns Euclidean distances float32 [n, k], nearest first, and rows of `codes`, int64 [n, k].
        Raises `ValueError` for another shape.
        """
        return nearest(self._validate_codes(codes), self.codes, k)

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
        return projector.Points("training", self.codes[index], self.decoder.images(self.codes[index]), names, {})

    def points(self, kind: str, codes: np.ndarray, rows: np.ndarray) -> projector.Points:
        """Points of images of the dataset: their codes float32 [n, d] and their rows in its file, int64 [n]."""
        listed = ids.read(self.dataset.path.with_name(paths.ID_FILE), len(self.dataset.images))
        names = [listed[row] if listed else str(row) for row in rows]
        return projector.Points(kind, codes, self.dataset.images[rows], names, projector.columns(self.dataset, rows))

    def analogy(self, codes: np.ndarray, steps: int = 7) -> tuple[np.ndarray, np.ndarray]:
        """Complete the analogy A : B :: C : D by D = C + B - A, and interpolate bilinearly between the four codes.

        codes: A, B and C, float32 [3, d]. steps: rows and columns of the grid, at least 2.
        Returns codes float32 [steps, steps, d], projected as in training, with A and B at the ends of the first row, C
        and D at those of the last, and their images uint8 [steps, steps, H, W, C]. Raises `ValueError` for another
        number or shape of codes, or fewer steps.
        """
        codes = self._validate_codes(codes)
        if len(codes) != 3 or steps < 2:
            raise ValueError(f"codes must be three, A, B and C, not {len(codes)}, and steps at least 2, not {steps}")
        filled = parallelogram(codes, *[np.linspace(0, 1, steps)] * 2, self.settings.projection)
        return filled, self.decoder.images(np.concatenate(filled)).reshape(steps, steps, *self.image_shape)

    def interpolate(
        self, a: np.ndarray, b: np.ndarray, path: str = "line", steps: int = 10, seed: int = 0
    ) -> tuple[np.ndarray, np.ndarray]:
        """Decode codes along a path from each code of `a` to that of `b`, float32 [p, d] both.

        path: `line`; `arc`, a spherical interpolation; or `graph`, the shortest path in the nearest-neighbour graph of
        the learned codes, on which successive images are equally far apart. steps: images on a path, ends included, at
        least 2. seed: of the choice of 20,000 learned codes in the graph, if there are more.
        Returns codes float32 [p, steps, d] and images uint8 [p, steps, H, W, C]. Raises `ValueError` for an unknown
        path, for codes of other shapes, and for fewer pairs or steps.
        """
        a, b = self._validate_codes(a), self._validate_codes(b)
        if path not in PATHS or len(a) != len(b) or not len(a) or steps < 2:
            raise ValueError(
                f"path must be one of {', '.join(PATHS)}, a and b equally many, and steps at least 2; "
                f"not {path!r}, {len(a)} and {len(b)}, and {steps}"
            )
        return interpolate(self.decoder, path, self.codes, a, b, steps, seed)

    def temperature(self, sampler: str) -> float:
        """The default temperature of a sampler: for the sampler of the run's settings, theirs; for any other, 1."""
        return self.settings.temperature if sampler == self.settings.sampler else 1.0

    def fit_sampler(
        self, name: str, components: int | None = None, image_class: ImageClass | None = None, seed: int = 0
    ) -> Fitted:
        """Fit a sampler to the learned codes, or to those of a class, and save it in the run folder.

        components: number of components of `gmm`. The default is that of the run's settings, or fewer for a class.
        """
        codes = self.codes if image_class is None else self.codes[image_class.among(self.dataset.train_rows)]
        if self.settings.components and not components:
            components = components_for(len(codes), len(self.codes), self.settings.components)
        options = {"components": components} if components and name == "gmm" else {}
        key = image_class.key if image_class else None
        file = paths.sampler(self.prefix.parent, name, self.step, key)
        return fitted(file, name, codes, seed, self.settings.projection, options)

    @cached_property
    def encoder(self) -> Encoder | None:
        """The encoder of the checkpoint, or None if there is none. Raises `UserError` for another checkpoint's."""
        if not paths.encoder(self.prefix).exists():
            return None
        network = encoder_file.restore(self.prefix, self._manifest, self.model)
        return Encoder(network, self.model, self.settings.projection, self._batch_size)

    def fit_fast(self, images: np.ndarray, steps: int = quasi_newton.STEPS) -> np.ndarray:
        """Fit codes float32 [n, d] to images uint8 [n, H, W, C] by steps of L-BFGS from the codes of the encoder.

        Raises `UserError` if there is no encoder.
        """
        manifest.require_encoder(self.prefix)
        return self._minimize(self.encoder.codes(images), images, steps)

    @cached_property
    def _minimize(self) -> Callable[[np.ndarray, np.ndarray, int], np.ndarray]:
        return quasi_newton.make_minimizer(self.model, self.settings.projection, self._batch_size)

    def losses(self, images: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """The run's loss of codes float32 [n, d] for each of images uint8 [n, H, W, C], float32 [n]."""
        return self.decoder.losses(codes, images, build_loss(self.settings.loss))

    @cached_property
    def held_out_losses(self) -> np.ndarray:
        """Losses of at most `JUDGED` fitted held-out images, float32 [m]. Raises `ValueError` if there are none."""
        if self.dataset is None or not len(self.dataset.test_rows):
            raise ValueError("a verdict needs held-out images: give the dataset that the run was trained on")
        order = permutation(len(self.dataset.test_rows), self.settings.seed, Stream.VERDICT_IMAGES)
        images = self.dataset.images[np.sort(self.dataset.test_rows[order[:JUDGED]])]
        return self.losses(images, self.encode(images, fast=self.encoder is not None))

    def fit(
        self,
        images: np.ndarray,
        loss: fitting.Loss,
        steps: int,
        hole: np.ndarray | None = None,
        prior: float = 0.0,
        draws: int = 0,
        seed: int = 0,
        start: str | None = None,
    ) -> np.ndarray:
        """Fit codes, float32 [n, d], to images uint8 [n, H, W, C].

        hole: bool [H, W, 1], pixels that the loss ignores. prior: weight of `GaussianPrior`. draws: number of further
        starts, drawn from a Gaussian fitted to the learned codes. seed: seed of these draws. start: `encoder`
        (the predicted code alone), `nearest` (all other starts) or `both`; None is `both` if there is an encoder. With
        a hole, it is `nearest`, because encoders are trained on whole images.
        """
        projection = self.settings.projection
        gaussian = Gaussian.fit(self.codes, seed)
        drawn = project(gaussian.draw(draws, random_generator(seed, Stream.FITTING_STARTS)), projection)
        if hole is not None or (start is None and self.encoder is None):
            start = "nearest"
        parts = []
        if start != "encoder":
            parts.append(fitting.starts(images, *self._start_candidates, drawn, hole))
        if start != "nearest":
            manifest.require_encoder(self.prefix)
            parts.append(self.encoder.codes(images)[:, None])
        starts = np.concatenate(parts, axis=1)
        gaussian_prior = GaussianPrior(gaussian, prior) if prior else None
        codes, _ = fitting.fit(
            self.model, loss, projection, images, starts, steps, self._batch_size, gaussian_prior, hole
        )
        return codes

    @cached_property
    def _start_candidates(self) -> tuple[Rows | np.ndarray, np.ndarray]:
        """Images uint8 [m, H, W, C] that new images are compared with, and their codes float32 [m, d]."""
        if self.dataset:
            return self.dataset.train_images, self.codes
        codes = self.codes[np.sort(permutation(self._n, 0, Stream.DECODED_STARTS)[:DECODED])]
        return self.decoder.images(codes), codes

    def _dataset_exists(self) -> bool:
        return paths.dataset_file(paths.dataset_folder(self.settings.data_dir, self.settings.dataset)) is not None

    def _validate_codes(self, codes: np.ndarray) -> np.ndarray:
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
