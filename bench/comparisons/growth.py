"""The speed of the training step as the number of images grows."""

from collections.abc import Iterator
from functools import partial

from bench.comparison import Comparison, Contender, Figures, Setup
from bench.inputs import random_data
from bench.timing import Range, Row, ratio
from glo.settings import TrainSettings


def _steps(setup: Setup, n: int) -> Figures:
    from bench.steps import step_rates

    images, codes = random_data(setup.images(n), (8, 8, 1), 64)
    return step_rates(images, codes, setup.settings(TrainSettings(channels=16)), setup.steps(50))


CONTENDERS = {f"{n:,} images": Contender(partial(_steps, n=n)) for n in (10**4, 10**5, 10**6)}


def _rows(figures: dict[str, list[float]]) -> Iterator[Row]:
    for name in CONTENDERS:
        yield Row(f"step, {name}", Range.of(figures[name]), "images/s")
    fewest, *others = CONTENDERS
    for name in others:
        yield Row(
            f"{name.removesuffix(' images')} / {fewest}", ratio(figures[name], figures[fewest]), "x", "0.95 to 1.05"
        )


# Many short turns, because other load on the machine comes in bursts.
COMPARISON = Comparison("the training step, by the number of images of 8x8", CONTENDERS, _rows, turns=12)
