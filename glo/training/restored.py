"""A run restored from a checkpoint: its model and codes, its dataset, encoder and samplers."""

from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np

from glo.data.conditions import Conditions
from glo.data.dataset import Dataset, load_dataset
from glo.data.labels import ImageClass
from glo.data.randomness import Stream, random_generator
from glo.features import loss_network
from glo.inference.decoder import Decoder
from glo.inference.encoder import Encoder
from glo.inference.fitter import Fitter
from glo.model import losses
from glo.model.codes import unset
from glo.model.glo_model import GloModel
from glo.model.losses import Loss
from glo.runtime import paths
from glo.runtime.log import logger
from glo.samplers.cache import Fitted, fitted
from glo.samplers.gmm import components_for
from glo.settings import MIXTURES, TrainSettings, loss_expression
from glo.settings.shared import TEMPERATURES, automatic_components
from glo.training import checkpoint, encoder_file, manifest
from glo.training.manifest import Manifest


class RestoredRun:
    """Model, learned codes and conditions of a checkpoint, and what is found beside it when it is needed.

    Attributes
    ----------
    prefix : Path of the checkpoint, RUN/model-STEP.
    settings : TrainSettings of the run, in which the sampler `auto` is replaced by what it stands for.
    step : number of training steps of the checkpoint.
    image_shape : (H, W, C) of the images, where C is 1 or 3.
    conditions : of the training images, see `glo.data.conditions`.
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
        checkpoint.restore(self.model, prefix, saved)
        if self.model.conditions is not None:
            conditions = replace(conditions, values=self.model.conditions.numpy())
        self.conditions: Conditions = conditions
        self.image_shape: tuple[int, int, int] = self.model.image_shape
        self.decoder = Decoder(self.model, batch_size)
        if self.settings.sampler == "auto":
            components = self.settings.components or automatic_components(self._n)
            self.settings = replace(self.settings, sampler="gmm", components=components)

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

    def temperature(self, sampler: str) -> float:
        """The default temperature of a sampler: of the run's settings if they name one for it."""
        given = self.settings.temperature if sampler == self.settings.sampler else None
        return given or TEMPERATURES.get(sampler, 1.0)

    def fit_sampler(
        self, name: str, components: int | None = None, image_class: ImageClass | None = None, seed: int = 0
    ) -> Fitted:
        """Fit a sampler to the learned codes, or to `style_codes` of a class, and save it in the run folder.

        components: number of components of `gmm` or `leading`. By default that of the run's settings if the
            sampler is theirs, and fewer for a class.
        """
        codes = self.style_codes(image_class)
        if self.settings.components and not components and name == self.settings.sampler:
            components = components_for(len(codes), len(self.codes), self.settings.components)
        options = {"components": components} if components and name in MIXTURES else {}
        key = image_class.key if image_class and len(codes) < len(self.codes) else None
        file = paths.sampler(self.prefix.parent, name, self.step, key)
        return fitted(file, name, codes, seed, self.settings.projection, options)

    def style_codes(self, image_class: ImageClass | None) -> np.ndarray:
        """The learned codes that describe what differs between the images of a class, float32 [m, d].

        They are the codes of the class, or those of all images (also for None) if the condition determines the class,
        because the codes then hold the rest alone.
        """
        if image_class is None or self.conditions.determine(image_class.members[self.dataset.train_rows]):
            return self.codes
        return self.codes[image_class.among(self.dataset.train_rows)]

    def draw_conditions(self, n: int, seed: int, image_class: ImageClass | None = None) -> np.ndarray:
        """Conditions float32 [n, k] of random training images, those of one class if it is given."""
        rows = np.arange(self._n) if image_class is None else image_class.among(self.dataset.train_rows)
        return self.conditions[random_generator(seed, Stream.SAMPLED_CONDITIONS).choice(rows, n)]

    @cached_property
    def encoder(self) -> Encoder | None:
        """The encoder of the checkpoint, or None if there is none. Raises `UserError` for another checkpoint's."""
        if self.model.encoder:
            return Encoder(self.model.encoder, self.model, self.settings.projection, self._batch_size)
        if not paths.encoder(self.prefix).exists():
            return None
        network = encoder_file.restore(self.prefix, self._manifest, self.model)
        return Encoder(network, self.model, self.settings.projection, self._batch_size)

    @cached_property
    def loss(self) -> Loss:
        """The reconstruction loss of the run.

        Raises `UserError` if its network, that of the loss `perceptual`, is not there or is another one.
        """
        dataset = self.dataset if loss_expression.network(self.settings.loss) else None
        network = loss_network.make(self.settings.loss, self.image_shape, dataset)
        manifest.check_network(self._manifest, network, self.prefix)
        return losses.build(self.settings.loss, network)

    @cached_property
    def fitter(self) -> Fitter:
        """What fits codes to new images."""
        return Fitter(
            self.model, self.decoder, self.settings, self.codes, self.conditions,
            lambda: self.dataset, lambda: self.encoder, lambda: self.loss,
        )  # fmt: skip

    def _dataset_exists(self) -> bool:
        return paths.dataset_file(paths.dataset_folder(self.settings.data_dir, self.settings.dataset)) is not None
