"""The summary that --dry_run prints: settings, layers, number of parameters, memory, number of steps."""

import math

from glo.data.batches import steps_per_epoch
from glo.data.dataset import Dataset
from glo.model import footprint, generator
from glo.settings import TrainSettings, fields
from glo.training.resume import Length


def describe(settings: TrainSettings, dataset: Dataset, length: Length) -> str:
    """Return the text that --dry_run prints."""
    originals = len(dataset.train_rows)
    n = originals * (1 + settings.copies(originals))
    sizes = dataset.dimension, dataset.conditions.shape[1]
    network = generator.build(dataset.image_shape, sizes[0], settings, sizes[1])
    parts = footprint.training(settings, dataset.image_shape, sizes[0], originals, sizes[1])
    layers: list[str] = []
    network.summary(print_fn=layers.append)
    lines = [
        fields.write_yaml(settings),
        *layers,
        f"parameters   {network.count_params():,} in the generator, {n:,} codes of {dataset.dimension}",
        f"memory       {originals * math.prod(dataset.image_shape) / 1e6:,.1f} MB images, {footprint.describe(parts)}",
        *([f"epochs       chosen at the start for {settings.minutes:g} minutes"] if _timed(settings) else []),
        f"steps        {steps_per_epoch(n, settings.batch_size):,} per epoch, {length.end:,} in total, "
        f"schedule over {length.learned:,}, {length.planned - length.learned:,} more for codes only",
    ]
    return "\n".join(lines)


def _timed(settings: TrainSettings) -> bool:
    return settings.minutes is not None and settings.epochs is None
