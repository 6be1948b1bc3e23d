"""Several workers on one machine: the training step, sums over workers, and the memory of codes."""

from collections.abc import Iterator
from functools import partial

from bench.comparison import Comparison, Contender
from bench.crew import CODES, SUMS, WORKERS, figures
from bench.timing import Range, Row, ratio

ONE, TWO = "one worker of two threads", "two workers of one thread"
CONTENDERS = {
    ONE: Contender(partial(figures, task="training", workers=1, threads=2), library=None),
    TWO: Contender(partial(figures, task="training", workers=2, threads=1), library=None),
    "codes": Contender(partial(figures, task="codes", workers=1, threads=1), library=None),
}


def _rows(measured: dict[str, list[dict[str, float]]]) -> Iterator[Row]:
    def values(contender: str, figure: str) -> list[float]:
        return [figures[figure] for figures in measured[contender]]

    for name in (ONE, TWO):
        yield Row(f"step, {name}", Range.of(values(name, "images/s")), "images/s")
    yield Row("two workers / one worker", ratio(values(TWO, "images/s"), values(ONE, "images/s")), "x", "0.9")
    for size in SUMS:
        yield Row(f"sum of {size / 1e6:g} MB over two workers", Range.of(values(TWO, str(size))), "ms")
    for count in WORKERS:
        label = f"memory of {CODES:,} codes, a worker of {count}"
        yield Row(label, Range.of(values("codes", str(count))), "MB", f"1/{count} of it" if count > 1 else "")


COMPARISON = Comparison("64x64x3 with two threads in all, and codes of dimension 64", CONTENDERS, _rows, turns=2)
