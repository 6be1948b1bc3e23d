"""A trained run, which samples, encodes and decodes. `glo.load` returns it."""

from functools import cached_property
from os import PathLike
from pathlib import Path

import numpy as np

from glo.data import labels
from glo.data.conditions import Label
from glo.data.randomness import Stream, permutation
from glo.inference import analogy, directions, projector, sweeps, verdict
from glo.inference.directions import Directions
from glo.inference.fitting import Fit
from glo.inference.neighbors import nearest
from glo.inference.paths import PATHS, interpolate
from glo.samplers import SAMPLERS
from glo.training import manifest
from glo.training.restored import RestoredRun


class Run(RestoredRun):
    """A trained run, restored from a checkpoint.

    Attributes
    ----------
    prefix : Path of the checkpoint, RUN/model-STEP.
    settings : TrainSettings of the run.
    step : number of training steps of the checkpoint.
    image_shape : (H, W, C) of the images, where C is 1 or 3.
    """

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

    def encode(
        self, images: np.ndarray, label: Label | None = None, steps: int = 200, fast: bool = False
    ) -> np.ndarray:
        """Fit a code to each image: gradient descent on the loss of the run, with the generator frozen.

        The descent of each image starts from several codes, and the best result is returned. The starts are the mean
        code, the codes of the nearest training images or, without the dataset, the codes whose decoded images are
        nearest, and the code that the encoder predicts, if the checkpoint has one.

        Parameters
        ----------
        images : uint8 [n, H, W, C] of the run's image shape.
        label : of a conditional model, as in `decode`. Without it, each image is fitted under every class at first, and
            the class with the least loss goes on.
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
            For images of another shape or dtype, for an unknown label, and for a label of an unconditional model.
        """
        return self._fit(images, label, steps, fast).codes

    def classify(self, images: np.ndarray, steps: int = 200, fast: bool = False) -> np.ndarray:
        """Find the labels of images uint8 [n, H, W, C]: those under which a conditional model fits them best.

        Returns labels int32 [n] as in the dataset, or attributes int32 [n, k]. steps, fast: as in `encode`.
        Raises `ValueError` if the model is not conditional, and for images of another shape or dtype.
        """
        if not self.conditions.names:
            raise ValueError("this model is not conditional: it cannot classify")
        return self.conditions.labels(self._fit(images, None, steps, fast).conditions)

    def verdict(self, images: np.ndarray, codes: np.ndarray, label: Label | None = None) -> list[str]:
        """Judge how well codes float32 [n, d] fit images uint8 [n, H, W, C], one of `verdict.VERDICTS` for each.

        The loss of each image is compared with those of fitted held-out images. label: as in `decode`. Raises
        `ValueError` for images of another shape or dtype, as `decode` does, and without the dataset or held-out images.
        """
        images, codes = self._validate(images), self._validate_codes(codes)
        losses = self.fitter.losses(images, codes, self.conditions.of(label, len(codes)))
        return verdict.judge(losses, self.fitter.held_out_losses)

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
        codes = self._validate_codes(codes)
        return self.decoder.images(codes, self.conditions.of(label, len(codes)))

    def reconstruct(self, images: np.ndarray, label: Label | None = None) -> np.ndarray:
        """The images uint8 [n, H, W, C] that the codes of `encode` decode to. images, label: as in `encode`."""
        fit = self._fit(images, label)
        return self.decoder.images(fit.codes, fit.conditions)

    def class_sweep(self, codes: np.ndarray, label: Label) -> np.ndarray:
        """Decode each code under every class, or with each attribute of its label in turn absent, then present.

        codes: float32 [n, d]. label: as in `decode`; it matters for attributes alone.
        Returns images uint8 [n, m, H, W, C]; m is the number of classes, or twice the number of attributes.
        Raises `ValueError` for an unconditional model and an unknown label.
        """
        codes = self._validate_codes(codes)
        return sweeps.conditions(
            self.decoder, codes, self.conditions.variations(self.conditions.of(label, len(codes)))[1]
        )

    def style_sweep(
        self, label: Label | None = None, directions: int = 6, steps: int = 11, strength: float = 2.0
    ) -> np.ndarray:
        """Decode codes along the leading principal directions of the learned codes, through their mean.

        label: of a conditional model, as in `decode`; by default the first class, or the most frequent attributes.
        steps: positions from -strength to strength, in standard deviations along the direction.
        Returns images uint8 [directions, steps, H, W, C]. Raises `ValueError` for an unknown label.
        """
        condition = self.conditions.candidates()[0] if label is None else self.conditions.of(label, 1)[0]
        positions = strength * np.linspace(-1, 1, steps)
        return sweeps.directions(self.decoder, self.codes, condition, positions, directions, self.settings.projection)

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

    def choose(self, n: int, seed: int) -> np.ndarray:
        """A seeded choice of at most n training images: rows of `codes`, int64, ascending."""
        return np.sort(permutation(self._n, seed, Stream.PROJECTED_CODES)[:n])

    def training_points(self, n: int, seed: int) -> projector.Points:
        """Points of a seeded choice of at most n training images; decoded images where the dataset is not there."""
        index = self.choose(n, seed)
        codes = self.codes[index]
        if self.dataset:
            return projector.points("training", self.dataset, self.dataset.train_rows[index], codes)
        decoded = self.decoder.images(codes, self.conditions[index])
        return projector.Points("training", codes, decoded, [str(row) for row in index], {})

    def analogy(self, codes: np.ndarray, steps: int = 7, label: Label | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Complete the analogy A : B :: C : D by D = C + B - A, and interpolate bilinearly between the four codes.

        codes: A, B and C, float32 [3, d]. steps: rows and columns of the grid, at least 2. label: as in `decode`, of
        all three codes or of each.
        Returns codes float32 [steps, steps, d], projected as in training, with A and B at the ends of the first row, C
        and D at those of the last, and their images uint8 [steps, steps, H, W, C]. Raises `ValueError` for another
        number or shape of codes, for fewer steps, and as `decode` does for the label.
        """
        codes = self._validate_codes(codes)
        if len(codes) != 3 or steps < 2:
            raise ValueError(f"codes must be three, A, B and C, not {len(codes)}, and steps at least 2, not {steps}")
        conditions, positions = self.conditions.of(label, 3), np.linspace(0, 1, steps)
        corners = np.vstack([conditions, self.conditions.analogous(conditions)])
        return analogy.complete(self.decoder, codes, corners, positions, positions, self.settings.projection)

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
        self,
        a: np.ndarray,
        b: np.ndarray,
        path: str = "line",
        steps: int = 10,
        seed: int = 0,
        label: Label | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Decode codes along a path from each code of `a` to that of `b`, float32 [p, d] both.

        path: `line`; `arc`, a spherical interpolation; or `graph`, the shortest path in the nearest-neighbour graph of
        the learned codes, on which successive images are equally far apart. steps: images on a path, ends included, at
        least 2. seed: of the choice of 20,000 learned codes in the graph, if there are more. label: as in `decode`, of
        all paths or of each.
        Returns codes float32 [p, steps, d] and images uint8 [p, steps, H, W, C]. Raises `ValueError` for an unknown
        path, for codes of other shapes, for fewer pairs or steps, and as `decode` does for the label.
        """
        a, b = self._validate_codes(a), self._validate_codes(b)
        if path not in PATHS or len(a) != len(b) or not len(a) or steps < 2:
            raise ValueError(
                f"path must be one of {', '.join(PATHS)}, a and b equally many, and steps at least 2; "
                f"not {path!r}, {len(a)} and {len(b)}, and {steps}"
            )
        return interpolate(self.decoder, path, self.codes, a, b, steps, seed, (self.conditions.of(label, len(a)),) * 2)

    def _fit(self, images: np.ndarray, label: Label | None, steps: int = 200, fast: bool = False) -> Fit:
        """Fit codes as `encode` says."""
        images = self._validate(images)
        conditions = None if label is None else self.conditions.of(label, len(images))
        if not fast:
            return self.fitter.fit(images, steps=steps, conditions=conditions)
        manifest.require_encoder(self.prefix, self.settings)
        return self.fitter.fit_fast(images, conditions=conditions)

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
