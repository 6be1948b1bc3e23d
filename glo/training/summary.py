"""What a run would be, without running it: settings, layers, parameters, memory, steps."""

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
    """The text of --dry_run."""
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
        f"{_megabytes(model.table.variables):,.1f} MB codes with their optimizer, "
        f"{_megabytes([*model.generator.weights, *model.optimizer.variables]):,.1f} MB generator with its own",
        f"steps        {steps_per_epoch(n, settings.batch_size):,} an epoch, {length.end:,} in all, "
        f"schedule over {length.learned:,}, {length.planned - length.learned:,} more for codes alone",
    ]
    return "\n".join(lines)


def _megabytes(variables: Iterable[Any]) -> float:
    """Of TensorFlow's and of Keras' variables: all of them have 4 bytes a value but for a counter or two."""
    return 4 * sum(math.prod(variable.shape) for variable in variables) / 1e6
