"""Training on images in the file compared with training on images in memory, with batches in the order of training."""

import contextlib
import itertools
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from bench.comparison import Comparison, Contender, Figures, Setup
from bench.inputs import random_data
from bench.timing import Range, Row, rate, ratio
from glo.building.writer import Writer
from glo.data.batches import batches
from glo.data.block import Block
from glo.data.dataset import load_dataset
from glo.settings import TrainSettings


def _steps(setup: Setup, memory_limit: str) -> Figures:
    from glo.model.glo_model import GloModel
    from glo.model.losses import build as build_loss
    from glo.training.step import make_step

    _write(setup, Path(setup.folder, "random", "data.hdf5"))
    settings = TrainSettings(dataset="random", data_dir=str(setup.folder), memory_limit=memory_limit)
    settings = setup.settings(settings)
    dataset, steps = load_dataset(settings), setup.steps(250)
    model = GloModel(dataset.image_shape, dataset.train_codes, settings)
    step = make_step(model, build_loss(settings.loss), settings, learned=10**6)
    with contextlib.closing(batches(dataset.train_images, settings.batch_size, settings.seed, start=0)) as endless:

        def run() -> None:
            for rows, images in itertools.islice(endless, steps):
                losses = step(rows, images)
            losses.numpy()

        while True:
            yield rate(run, steps * settings.batch_size)


def _write(setup: Setup, path: Path) -> None:
    """Write 100,000 images of 32x32x3, unless another contender has already written them."""
    if path.exists():
        return
    images, codes = random_data(setup.images(100_000), (32, 32, 3), 64)
    path.parent.mkdir()
    with Writer(path) as file:
        file.append(Block(images, codes=codes))
        file.finish()


def _rows(figures: dict[str, list[float]]) -> Iterator[Row]:
    for name in CONTENDERS:
        yield Row(f"images in {name}", Range.of(figures[name]), "images/s")
    yield Row("file / memory", ratio(figures["the file"], figures["memory"]), "x", "0.9")


CONTENDERS = {
    "memory": Contender(partial(_steps, memory_limit="4G")),
    "the file": Contender(partial(_steps, memory_limit="0")),
}
COMPARISON = Comparison("training on images in the file and in memory", CONTENDERS, _rows)
