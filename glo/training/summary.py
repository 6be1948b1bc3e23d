"""The summary that --dry_run prints: settings, layers, number of parameters, memory, number of steps."""

import math
from collections.abc import Iterable
from typing import Any

from glo.data.batches import steps_per_epoch
from glo.data.dataset import Dataset
from glo.model.codes import unset
from glo.model.glo_model import GloModel
from glo.settings import TrainSettings, fields
from glo.training.resume import Length


def describe(settings: TrainSettings, dataset: Dataset, length: Length) -> str:
    """Return the text that --dry_run prints."""
    originals = len(dataset.train_rows)
    n = originals * (1 + settings.copies(originals))
    model = GloModel(dataset.image_shape, unset(n, dataset.dimension), settings, dataset.train_conditions)
    layers: list[str] = []
    model.generator.summary(print_fn=layers.append)
    lines = [
        fields.write_yaml(settings),
        *layers,
        f"parameters   {model.generator.count_params():,} in the generator, {n:,} codes of {dataset.dimension}",
        f"memory       {originals * math.prod(dataset.image_shape) / 1e6:,.1f} MB images, "
        f"{_megabytes(model.table.variables):,.1f} MB codes with optimizer state, "
        f"{_megabytes([*model.generator.weights, *model.optimizer.variables]):,.1f} MB generator with optimizer state",
        f"steps        {steps_per_epoch(n, settings.batch_size):,} per epoch, {length.end:,} in total, "
        f"schedule over {length.learned:,}, {length.planned - length.learned:,} more for codes only",
    ]
    return "\n".join(lines)


def _megabytes(variables: Iterable[Any]) -> float:
    """Memory of variables of TensorFlow or Keras, which have 4 bytes per value (a few counters have 8)."""
    return 4 * sum(math.prod(variable.shape) for variable in variables) / 1e6
