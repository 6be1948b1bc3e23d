"""The pause of training for a checkpoint of 200,000 codes of 128 dimensions with Adam's moments."""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bench.comparison import Comparison, Contender, Figures, Setup
from bench.inputs import random_data
from bench.timing import Range, Row
from glo.settings import TrainSettings


def _pauses(setup: Setup) -> Figures:
    """Yield the pause in seconds: that of the copy, plus the delay of the slowest step while the copy is written."""
    from glo.model.glo_model import GloModel
    from glo.model.losses import build as build_loss
    from glo.training.checkpoint import Saver
    from glo.training.step import make_step

    images, codes = random_data(setup.images(200_000), (8, 8, 1), 128)
    settings = setup.settings(TrainSettings(channels=16, keep=1))
    model = GloModel(images.shape[1:], codes, settings)
    step, random = make_step(model, build_loss(settings.loss), settings, learned=10**6), np.random.default_rng(1)
    batch_size = min(settings.batch_size, len(images))

    def step_seconds() -> float:
        start = time.perf_counter()
        rows = random.choice(len(images), batch_size, replace=False)
        step(rows, images[rows]).numpy()
        return time.perf_counter() - start

    with tempfile.TemporaryDirectory() as run:
        saver = Saver(Path(run), settings, {})
        while True:
            usual_seconds = np.median([step_seconds() for _ in range(setup.steps(50))])
            start = time.perf_counter()
            saver.save(model)
            copying = time.perf_counter() - start
            slowest = max(step_seconds() for _ in range(setup.steps(200)))
            saver.wait()
            yield float(copying + slowest - usual_seconds)


def _rows(figures: dict[str, list[float]]) -> Iterator[Row]:
    yield Row("pause for a checkpoint of 310 MB", Range.of(figures["pause"]), "s", "< 1")


COMPARISON = Comparison("the pause of training for a checkpoint", {"pause": Contender(_pauses)}, _rows)
