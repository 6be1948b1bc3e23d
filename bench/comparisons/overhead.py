"""The cost of logs, pictures, TensorBoard and checkpoints: runs of MNIST compared with their steps alone.

The time between two steps separates the costs that grow with the number of steps from those of the start and the end.
"""

import contextlib
import dataclasses
import itertools
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.comparison import Comparison, Contender, Figures, Setup
from bench.inputs import mnist
from bench.timing import Range, Row
from glo.data.batches import batches

EARLY, LAST = 400, 1600  # steps; a checkpoint is saved between them, since --save_every is 1,000


def _steps_alone(setup: Setup) -> Figures:
    """Yield the seconds from step EARLY to step LAST, and of all steps."""
    from glo.model.glo_model import GloModel
    from glo.model.losses import build as build_loss
    from glo.training.step import make_step

    dataset, settings = mnist(setup)
    early, last = _range(setup)
    while True:
        model = GloModel(dataset.image_shape, dataset.train_codes, settings)
        step = make_step(model, build_loss(settings.loss), settings, learned=last)
        with contextlib.closing(batches(dataset.train_images, settings.batch_size, settings.seed, start=0)) as endless:
            start = time.perf_counter()
            for number, (rows, images) in enumerate(itertools.islice(endless, last), 1):
                losses = step(rows, images)
                if number == early:
                    losses.numpy()
                    middle = time.perf_counter()
            losses.numpy()
            end = time.perf_counter()
        yield {"between": end - middle, "all": end - start}


def _whole_run(setup: Setup) -> Figures:
    """Yield the seconds from step EARLY to step LAST, as the run records them, and of the whole run."""
    from glo.training import history, loop
    from glo.training.resume import Length, Plan
    from glo.training.state import prepare

    dataset, settings = mnist(setup)
    early, last = _range(setup)
    settings = dataclasses.replace(settings, log_every=min(early, settings.log_every))
    while True:
        with tempfile.TemporaryDirectory() as run:
            start = time.perf_counter()
            training = prepare(settings, dataset, Plan(settings))
            loop.train(Path(run), training, Length(last, last, last))
            whole = time.perf_counter() - start
            seconds = {record["step"]: record["seconds"] for record in history.read(Path(run)) if "loss" in record}
        yield {"between": seconds[last] - seconds[early], "all": whole}


def _range(setup: Setup) -> tuple[int, int]:
    early = setup.steps(EARLY)
    return early, early * LAST // EARLY


def _rows(figures: dict[str, list[dict[str, float]]]) -> Iterator[Row]:
    shares, ends = [], []
    for steps, run in zip(figures["steps alone"], figures["whole run"], strict=True):
        outside = run["between"] - steps["between"]
        shares.append(outside / run["between"])
        ends.append(run["all"] - steps["all"] - outside * LAST / (LAST - EARLY))
    yield Row("share of time outside steps, MNIST", Range.of(shares), "share", "< 0.03")
    yield Row("start and end of a run, MNIST", Range.of(ends), "s")


CONTENDERS = {"steps alone": Contender(_steps_alone), "whole run": Contender(_whole_run)}
COMPARISON = Comparison("what a run does besides its steps", CONTENDERS, _rows, turns=0.5)
