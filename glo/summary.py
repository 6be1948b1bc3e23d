"""What a run would be, without running it: settings, layers, parameters, memory, steps."""

import numpy as np

from glo import config, data
from glo.data import Dataset
from glo.settings import TrainSettings
from glo.step import Model


def describe(settings: TrainSettings, dataset: Dataset, planned: int, end: int) -> str:
    """The text of --dry_run."""
    n = len(dataset.train_rows)
    model = Model(dataset.image_shape, dataset.codes[dataset.train_rows], settings)
    lines: list[str] = []
    model.generator.summary(print_fn=lines.append)
    images = n * int(np.prod(dataset.image_shape))
    variables = sum(int(np.prod(v.shape)) * v.dtype.size for v in model.variables)
    weights = model.generator.count_params() * 4
    return "\n".join(
        [
            config.write_yaml(settings),
            *lines,
            f"parameters   {model.generator.count_params():,} in the generator, {n:,} codes of {dataset.dimension}",
            f"memory       {images / 1e6:,.1f} MB images, {weights / 1e6:,.1f} MB generator, {variables / 1e6:,.1f} MB codes "
            "and optimizers",
            f"steps        {data.steps_per_epoch(n, settings.batch_size):,} an epoch, {end:,} in all, schedule over {planned:,}",
        ]
    )
