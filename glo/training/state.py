"""The state of training: the model with its settings and data, from scratch or from a checkpoint."""

import contextlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from glo.data.augmentation import Augmented
from glo.data.batches import batches, steps_per_epoch
from glo.data.dataset import Dataset
from glo.data.independent_codes import independent
from glo.data.lazy_array import Rows
from glo.model.codes import unset
from glo.model.glo_model import GloModel
from glo.runtime import device
from glo.runtime.log import logger
from glo.settings import TrainSettings
from glo.training import checkpoint
from glo.training.resume import Plan


@dataclass(frozen=True)
class Training:
    """A run's settings, data and model.

    images: uint8 [m, H, W, C], in the order of the code table: the n training images, then their altered copies.
    start: the prefix of the checkpoint that training starts from, or None.
    """

    settings: TrainSettings
    dataset: Dataset
    images: Rows | Augmented
    model: GloModel
    start: Path | None

    @property
    def originals(self) -> Rows:
        """The training images without altered copies, uint8 [n, H, W, C]."""
        return self.dataset.train_images

    @property
    def steps_per_epoch(self) -> int:
        """Number of batches that visit every image once, copies included."""
        return steps_per_epoch(len(self.images), self.settings.batch_size)

    def batches(self, step: int, learned: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield batches without end, from a step on: rows int64 [B] and images uint8 [B, H, W, C].

        They contain altered copies of images only before step `learned`.
        """
        batch_size, seed = self.settings.batch_size, self.settings.seed
        if step < learned:
            with contextlib.closing(batches(self.images, batch_size, seed, start=step)) as all_images:
                yield from itertools.islice(all_images, learned - step)
            step = learned
        with contextlib.closing(batches(self.originals, batch_size, seed, start=step - learned)) as originals:
            yield from originals

    def codes(self, rows: np.ndarray) -> np.ndarray:
        """Return the codes float32 [n, d] in rows int64 [n] of the code table."""
        return self.model.table.gather(rows).numpy()

    def conditions(self, rows: np.ndarray) -> np.ndarray:
        """The conditions of rows int64 [n] of the table, float32 [n, k]."""
        return self.model.condition(rows).numpy()


def prepare(settings: TrainSettings, dataset: Dataset, plan: Plan) -> Training:
    """Build the model with initial weights and codes, or restore it from the checkpoint of the plan.

    Resuming a run restores all variables. In a new run that starts from a checkpoint, the state of an optimizer and the
    average of the weights start afresh if the checkpoint has none that fits the settings.
    Raises `UserError` for a checkpoint that does not fit the model.
    """
    images, codes = dataset.train_images, dataset.train_codes
    if settings.copies(len(images)):
        images = Augmented(images, settings)
    if plan.start:
        codes = unset(len(images), dataset.dimension)
    elif isinstance(images, Augmented):
        codes = images.codes(codes)
    conditions = dataset.train_conditions
    if settings.conditional and not plan.start:  # codes need not hold what the condition tells
        groups = conditions.groups()[np.arange(len(codes)) % len(conditions)]
        codes = independent(codes[:], groups, settings.seed)
    model = GloModel(dataset.image_shape, codes, settings, conditions)
    if plan.start:
        checkpoint.restore(model, plan.start, partial=plan.run is None)
        before, now = plan.manifest.numerics, device.numerics()
        if plan.run and before and before != now:
            logger.warning("%s was saved with %s and continues with %s: last bits may differ", plan.start, before, now)
    return Training(settings, dataset, images, model, plan.start)
