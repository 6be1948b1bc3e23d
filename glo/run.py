"""A trained run, which samples, encodes and decodes. `glo.load` returns it."""

from functools import cached_property
from os import PathLike
from pathlib import Path

import numpy as np

from glo.data import ids, labels
from glo.data.dataset import Dataset, load_dataset
from glo.data.labels import ImageClass
from glo.data.randomness import Stream, permutation
from glo.inference import directions, projector, verdict
from glo.inference.analogy import parallelogram
from glo.inference.decoder import Decoder
from glo.inference.directions import Directions
from glo.inference.encoder import Encoder
from glo.inference.fitter import Fitter
from glo.inference.neighbors import nearest
from glo.inference.paths import PATHS, interpolate
from glo.model.codes import unset
from glo.model.glo_model import GloModel
from glo.runtime import paths
from glo.runtime.log import logger
from glo.samplers import SAMPLERS
from glo.samplers.cache import Fitted, fitted
from glo.samplers.gmm import components_for
from glo.settings import TrainSettings
from glo.training import checkpoint, encoder_file, manifest
from glo.training.manifest import Manifest


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
        checkpoint.restore(self.model, prefix)
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
        if not fast:
            return self.fitter.fit(images, steps=steps)
        manifest.require_encoder(self.prefix)
        return self.fitter.fit_fast(images)

    def verdict(self, images: np.ndarray, codes: np.ndarray) -> list[str]:
        """Judge how well codes float32 [n, d] fit images uint8 [n, H, W, C], one of `verdict.VERDICTS` for each.

        The loss of each image is compared with those of fitted held-out images. Raises `ValueError` for images of
        another shape or dtype, for codes of another shape, and without the dataset or held-out images.
        """
        losses = self.fitter.losses(self._validate(images), self._validate_codes(codes))
        return verdict.judge(losses, self.fitter.held_out_losses)

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

    @cached_property
    def directions(self) -> Directions:
        """The directions of labels and attributes, fitted to the learned codes with the seed of the run.

        Raises `ValueError` without the dataset, and `UserError` if it has no labels and no attributes.
        """
        if self.dataset is None:
            raise ValueError("directions need labels or attributes: give the dataset that the run was trained on")
        return directions.of(self.dataset, self.codes, self.settings.seed)

    def edit(self, codes: np.ndarray, name: str, strength: float, direction: str = "conditional") -> np.ndarray:
        """Move codes float32 [n, d] along the direction of an attribute or label; returns float32 [n, d], projected.

        name, strength, direction: as in --attributes, --strengths and --direction. Raises `ValueError` for an unknown
        direction, for codes of another shape and without the dataset, and `UserError` for an unknown name.
        """
        codes, fitted = self._validate_codes(codes), self.directions
        key = labels.contrast(self.dataset, name, "name").key
        return fitted.move(codes, key, strength, self.settings.projection, direction)

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

    @cached_property
    def fitter(self) -> Fitter:
        """What fits codes to new images."""
        return Fitter(self.model, self.decoder, self.settings, self.codes, lambda: self.dataset, lambda: self.encoder)

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
