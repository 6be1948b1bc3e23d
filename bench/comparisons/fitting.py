"""Fitting codes to held-out images, 200 updates each, compared with training steps on as many images."""

import contextlib
import itertools
from collections.abc import Iterator

from bench.comparison import Comparison, Contender, Figures, Setup
from bench.inputs import mnist
from bench.timing import Row, rate, ratio
from glo.data.batches import batches

IMAGES, STEPS = 512, 200
TRAINED = 500  # training steps of the generator
BATCH = 256  # images that are fitted together


def _fitting_rates(setup: Setup) -> Figures:
    """Yield the rate of fitting: images/s times the number of updates of each image."""
    from glo.inference import fitting
    from glo.model.glo_model import GloModel
    from glo.model.losses import build as build_loss
    from glo.training.step import make_step

    dataset, settings = mnist(setup)
    model = GloModel(dataset.image_shape, dataset.train_codes, settings)
    loss, steps = build_loss(settings.loss), setup.steps(STEPS)
    step = make_step(model, loss, settings, learned=TRAINED)
    with contextlib.closing(batches(dataset.train_images, settings.batch_size, settings.seed, start=0)) as endless:
        for rows, images in itertools.islice(endless, setup.steps(TRAINED)):
            step(rows, images)
    held_out, codes = dataset.images[dataset.test_rows[: setup.images(IMAGES)]], model.table.codes.numpy()

    def fit() -> None:
        starts = fitting.starts(held_out, dataset.train_images, codes)
        fitting.fit(model, loss, settings.projection, held_out, starts, steps, BATCH)

    while True:
        yield rate(fit, len(held_out) * steps)


def _training_rates(setup: Setup) -> Figures:
    from bench.steps import step_rates

    dataset, settings = mnist(setup)
    everything = slice(None)
    return step_rates(dataset.train_images[everything], dataset.train_codes[everything], settings, setup.steps(100))


def _rows(figures: dict[str, list[float]]) -> Iterator[Row]:
    slowdown = ratio(figures["training"], figures["fitting"])
    yield Row("time of fitting / time of training on as many images", slowdown, "x", "1.3")


CONTENDERS = {"fitting": Contender(_fitting_rates), "training": Contender(_training_rates)}
COMPARISON = Comparison("fitting held-out images of MNIST, and training", CONTENDERS, _rows, turns=0.5)
