"""The state of training: the model with its settings and data, from scratch or from a checkpoint."""

import contextlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import tensorflow as tf

from glo.data.augmentation import Augmented
from glo.data.batches import Share, batches, steps_per_epoch
from glo.data.dataset import Dataset, load_rows
from glo.data.independent_codes import independent
from glo.data.lazy_array import Rows
from glo.data.randomness import Stream, random_generator
from glo.features import loss_network
from glo.features.loss_network import LossNetwork
from glo.inference.encoder import Encoder
from glo.model import losses
from glo.model.codes import unset
from glo.model.glo_model import GloModel
from glo.model.losses import Loss
from glo.runtime import device
from glo.runtime.errors import UserError
from glo.runtime.log import logger
from glo.settings import TrainSettings
from glo.training import checkpoint, manifest
from glo.training.resume import Plan
from glo.workers import shards
from glo.workers.crew import ALONE, Crew


@dataclass(frozen=True)
class Training:
    """A run's settings, data and model, as one worker sees them. With one worker, its own rows are all rows.

    images: uint8 [m, H, W, C], from which the generator learns, in the order of this worker's code table: its n
    training images, then their altered copies. originals: its n images without copies, uint8 [n, H, W, C]; of a GAN,
    those that get codes. rows: int64 [m] ascending, the rows of the images in the code table of all workers.
    start: the prefix of the checkpoint that training starts from, or None.
    """

    settings: TrainSettings
    dataset: Dataset
    images: Rows | Augmented
    originals: Rows
    rows: np.ndarray
    model: GloModel
    start: Path | None
    crew: Crew = ALONE

    @property
    def size(self) -> int:
        """Number of images of all workers that the generator learns from, copies included."""
        n = len(self.dataset.seen_rows)
        return n * (1 + self.settings.copies(n))

    @property
    def steps_per_epoch(self) -> int:
        """Number of batches that visit every image once, copies included."""
        return steps_per_epoch(self.size, self.settings.batch_size)

    def batches(self, step: int, learned: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield batches without end, from a step on: rows int64 [B] and images uint8 [B, H, W, C].

        They contain altered copies of images only before step `learned`. Rows are those of this worker's code table.
        """
        batch_size, seed = self.settings.batch_size, self.settings.seed
        n, index, workers = len(self.dataset.train_rows), self.crew.index, self.crew.count
        if step < learned:
            share = Share(self.size, 1 + self.settings.copies(n), index, workers)
            with contextlib.closing(batches(self.images, batch_size, seed, step, share)) as all_images:
                yield from itertools.islice(all_images, learned - step)
            step = learned
        share = Share(n, 1, index, workers)
        with contextlib.closing(batches(self.originals, batch_size, seed, step - learned, share)) as originals:
            yield from originals

    def images_of_all(self, rows: np.ndarray) -> Rows | np.ndarray:
        """Return the training images uint8 [n, H, W, C] in rows int64 [n] of all workers. All must call this."""
        if self.crew.count == 1:
            return Rows(self.originals, rows)
        return self._gather(rows, self.originals, np.int32).astype(np.uint8)

    def codes_of_all(self, rows: np.ndarray) -> np.ndarray:
        """Return the codes float32 [n, d] in rows int64 [n] of the code table of all workers. All must call this."""
        if self._encoder:  # whose codes in the table are those of the last epoch
            return self._encoder.codes(self.originals[rows], self.conditions(rows))
        if self.crew.count == 1:
            return self.model.table.gather(rows).numpy()
        return self._gather(rows, self.model.table.codes, np.float32)

    @cached_property
    def network(self) -> LossNetwork | None:
        """The network of the loss `perceptual`, which is trained if it is not saved; None for other losses.

        Raises `UserError` if its weights cannot be read or downloaded.
        """
        return loss_network.make(self.settings.loss, self.model.image_shape, self.dataset)

    @cached_property
    def loss(self) -> Loss:
        """The reconstruction loss of the settings."""
        return losses.build(self.settings.loss, self.network)

    @cached_property
    def _encoder(self) -> Encoder | None:
        model = self.model
        return Encoder(model.encoder, model, self.settings.projection) if model.encoder else None

    def _gather(self, rows: np.ndarray, own: Rows | tf.Variable, dtype: type) -> np.ndarray:
        """Collect values from the workers that own them: each contributes its own rows, and zeros elsewhere."""
        values = np.zeros((len(rows), *own.shape[1:]), dtype)
        _, here, places = np.intersect1d(rows, self.rows, assume_unique=True, return_indices=True)
        values[here] = own[places] if isinstance(own, Rows) else tf.gather(own, places).numpy()
        return self.crew.sum(values)

    def conditions(self, rows: np.ndarray) -> np.ndarray:
        """The conditions of rows int64 [n] of the table, float32 [n, k]."""
        return self.model.condition(rows).numpy()


def prepare(settings: TrainSettings, dataset: Dataset, plan: Plan, crew: Crew = ALONE) -> Training:
    """Build the model with initial weights and codes, or restore it from the checkpoint of the plan.

    Resuming a run restores all variables. In a new run that starts from a checkpoint, the state of an optimizer and the
    average of the weights start afresh if the checkpoint has none that fits the settings.
    Raises `UserError` for a checkpoint that does not fit the model, and if the network of the loss is another one.
    """
    images, codes, n = dataset.train_images, dataset.train_codes, len(dataset.train_rows)
    shard, copies = shards.rows(settings.seed, n, crew.index, crew.count), settings.copies(n)
    if crew.count > 1:
        # Only these rows are read. The codes of others are not checked.
        images, codes = (Rows(array.source, array.rows[shard]) for array in (images, codes))
        images = load_rows(images, settings, crew.local_count)
    originals = images
    if copies:
        images = Augmented(images, settings, shard, n)
    if plan.start or settings.has_encoder:
        codes = unset(len(images), dataset.dimension)
    elif settings.method == "gan":
        random = random_generator(settings.seed, Stream.UNFITTED_CODES)
        codes = random.standard_normal((n, dataset.dimension), np.float32)
    elif isinstance(images, Augmented):
        codes = images.codes(codes, crew.sum)
    conditions = dataset.train_conditions
    if settings.conditional and settings.method == "glo" and not plan.start:
        # Codes need not hold what the condition tells.
        groups = conditions.groups()[np.arange(len(codes)) % len(conditions)]
        codes = independent(codes[:], groups, settings.seed)
    rows = shards.table_rows(settings.seed, n, copies, crew.index, crew.count)
    model = GloModel(dataset.image_shape, codes, settings, conditions)
    if plan.start:
        checkpoint.restore(model, plan.start, plan.manifest, rows, partial=plan.run is None)
        before, now = plan.manifest.numerics, device.numerics()
        if plan.run and before and before != now:
            logger.warning("%s was saved with %s and continues with %s: last bits may differ", plan.start, before, now)
    elif crew.count > 1 and not tf.reduce_all(tf.math.is_finite(model.table.codes)):
        raise UserError(f"{dataset.path}: the code of a row is not finite: build the dataset again")
    if crew.count > 1:  # weights may depend on the kind of CPU in their last bits
        for variable in model.generator.variables:
            variable.assign(crew.sum(variable.numpy() if crew.first else np.zeros(variable.shape, np.float32)))
    seen = dataset.seen_images if settings.method == "gan" else images
    training = Training(settings, dataset, seen, originals, rows, model, plan.start, crew)
    network = training.network  # now, since it may have to be trained or downloaded
    if plan.run:
        manifest.check_network(plan.manifest, network, plan.start)
    return training
