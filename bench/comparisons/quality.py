"""The time of training until 2,000 training images of MNIST are reconstructed at 27 dB, measured every 100 steps."""

import contextlib
import dataclasses
import itertools
import time
from collections.abc import Iterator

from bench.comparison import Comparison, Contender, Figures, Setup
from bench.inputs import mnist
from bench.timing import Range, Row
from glo.data.batches import batches
from glo.data.randomness import Stream, permutation
from glo.training import resume

TARGET = 27.0  # dB
EPOCHS = 8  # planned, over which the schedule runs


def _training(setup: Setup) -> Figures:
    """Yield the seconds of training, without those of the measurements, the number of steps, and the PSNR in dB."""
    from glo.inference.decoder import Decoder
    from glo.model.glo_model import GloModel
    from glo.model.losses import build as build_loss
    from glo.training.step import make_step

    dataset, settings = mnist(setup)
    model, loss = GloModel(dataset.image_shape, dataset.train_codes, settings), build_loss(settings.loss)
    planned = setup.steps(resume.length(dataclasses.replace(settings, epochs=EPOCHS), dataset).learned)
    step, decoder = make_step(model, loss, settings, planned), Decoder(model)
    rows = permutation(len(dataset.train_rows), settings.seed, Stream.GRID_IMAGES)[:2000]
    originals, psnr, seconds = dataset.train_images[rows], 0.0, 0.0
    with contextlib.closing(batches(dataset.train_images, settings.batch_size, settings.seed, start=0)) as endless:
        start = time.perf_counter()
        for number, batch in enumerate(itertools.islice(endless, planned), 1):
            losses = step(*batch)
            if number % 100 == 0 or number == planned:
                losses.numpy()
                seconds += time.perf_counter() - start
                psnr = decoder.measure(model.table.gather(rows).numpy(), originals, loss).result()["psnr"]
                if psnr >= TARGET:
                    break
                start = time.perf_counter()
    yield {"seconds": seconds, "step": number, "psnr": psnr}


def _rows(figures: dict[str, list[dict[str, float]]]) -> Iterator[Row]:
    (run,) = figures["training"]
    reached = f"{TARGET:g} dB" if run["psnr"] >= TARGET else f"{run['psnr']:.1f} dB, not {TARGET:g} dB,"
    yield Row(f"time to {reached} on MNIST (--epochs {EPOCHS}, step {run['step']})", Range.of([run["seconds"]]), "s")


# The start is part of the time, so that there is no warm-up; a second round would take another minute.
COMPARISON = Comparison("training on MNIST", {"training": Contender(_training)}, _rows, turns=0, warm_up=0)
