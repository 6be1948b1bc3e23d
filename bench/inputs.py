"""The data on which contenders are measured: random images, or MNIST."""

import dataclasses

import numpy as np

from bench.comparison import Setup
from glo.data.dataset import Dataset, load_dataset
from glo.runtime import device
from glo.settings import TrainSettings, fields
from glo.training import resume


def random_data(n: int, shape: tuple[int, int, int], dimension: int) -> tuple[np.ndarray, np.ndarray]:
    """Random images uint8 [n, *shape], and codes float32 [n, dimension] on the unit sphere."""
    random = np.random.default_rng(0)
    codes = random.standard_normal((n, dimension), np.float32)
    return random.integers(0, 256, (n, *shape), np.uint8), codes / np.linalg.norm(codes, axis=1, keepdims=True)


def mnist(setup: Setup) -> tuple[Dataset, TrainSettings]:
    """MNIST and the settings of its recipe, in bfloat16 where the processor has instructions for it.

    `--precision auto` would time both precisions, and contenders in different processes could disagree.
    """
    flags = fields.Layer(fields.FLAGS, {"dataset": "MNIST", "data_dir": setup.data_dir})
    settings = setup.settings(resume.plan(flags).settings)
    chosen = "bfloat16" if device.has_bfloat16() else "float32"
    return load_dataset(settings), dataclasses.replace(settings, precision=chosen)
