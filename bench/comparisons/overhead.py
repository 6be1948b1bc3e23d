"""What logs, pictures, TensorBoard and checkpoints cost: runs of MNIST against their steps alone.

Runs of two lengths tell what grows with the number of steps from what each run pays once.
"""

import contextlib
import itertools
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from bench.comparison import Comparison, Contender, Figures, Setup
from bench.inputs import mnist
from bench.timing import Range, Row
from glo.data.batches import batches
from glo.data.dataset import Dataset
from glo.settings import TrainSettings

SHORT, LONG = 400, 1600  # a long run has one more checkpoint, as every 1,000 steps have by default


def _seconds(setup: Setup, train: Callable[[Dataset, TrainSettings, int], float], steps: int) -> Figures:
    dataset, settings = mnist(setup)
    while True:
        yield train(dataset, settings, steps * setup.steps(SHORT) // SHORT)


def _steps(dataset: Dataset, settings: TrainSettings, steps: int) -> float:
    """Seconds of the steps alone."""
    from glo.model.glo_model import GloModel
    from glo.training.step import make_step

    step = make_step(GloModel(dataset.image_shape, dataset.train_codes, settings), settings, learned=steps)
    with contextlib.closing(batches(dataset.train_images, settings.batch_size, settings.seed, start=0)) as endless:
        start = time.perf_counter()
        for rows, images in itertools.islice(endless, steps):
            losses = step(rows, images)
        losses.numpy()
        return time.perf_counter() - start


def _run(dataset: Dataset, settings: TrainSettings, steps: int) -> float:
    """Seconds of a whole run."""
    from glo.training import loop
    from glo.training.resume import Length, Plan
    from glo.training.state import prepare

    with tempfile.TemporaryDirectory() as run:
        start = time.perf_counter()
        training = prepare(settings, dataset, Plan(settings))
        loop.train(Path(run), training, Length(steps, steps, steps))
        return time.perf_counter() - start


def _rows(figures: dict[str, list[float]]) -> Iterator[Row]:
    short_steps, short_run, long_steps, long_run = (np.array(figures[name]) for name in CONTENDERS)
    steps, run = long_steps - short_steps, long_run - short_run  # seconds of LONG - SHORT steps
    yield Row("share of time outside steps, MNIST", Range.of(((run - steps) / run).tolist()), "share", "< 0.03")
    once = short_run - short_steps - SHORT * (run - steps) / (LONG - SHORT)
    yield Row("start and end of a run, MNIST", Range.of(once.tolist()), "s")


CONTENDERS = {
    f"{name}, {steps} steps": Contender(partial(_seconds, train=train, steps=steps))
    for steps in (SHORT, LONG)
    for name, train in {"steps alone": _steps, "whole run": _run}.items()
}
COMPARISON = Comparison("what a run does besides its steps", CONTENDERS, _rows, turns=0.5)
