"""A folder with a toy dataset, and a run of two workers that nothing disturbs."""

import numpy as np
import pytest

from tests.runs import newest
from tests.support import samples, write_flat
from tests.workers import processes

STEPS = 24


@pytest.fixture(scope="session")
def home(tmp_path_factory):
    """A folder with datasets/TOY: 42 random images of 8x8 with codes of 6 dimensions, 33 for training.

    With batches of 8, the last one of an epoch has one image, so that the parts of all workers but one are empty.
    """
    folder = tmp_path_factory.mktemp("toy")
    images, codes = samples(42, (8, 8, 1), 6)
    write_flat(folder / "datasets/TOY", images, codes, split=(np.arange(42) >= 33).astype(np.uint8))
    return folder


@pytest.fixture(scope="session")
def whole(home):
    """The run folder of two workers that trained for `STEPS` steps."""
    processes.train(home, "--prefix", "whole", "--workers", 2, "--max_steps", STEPS)
    return newest(home, "whole")
