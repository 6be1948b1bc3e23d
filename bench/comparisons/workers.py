"""Several workers on one machine: the training step, sums over workers, and the memory of codes."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from bench.comparison import Comparison, Contender
from bench.crew import CODES, SUMS, figures
from bench.timing import Range, Row, ratio

STEPS = {
    "one worker of two threads": Contender(partial(figures, task="steps", workers=1, threads=2), library=None),
    "two workers of one thread": Contender(partial(figures, task="steps", workers=2, threads=1), library=None),
}
SUM = "sums over two workers"
MEMORY = {f"codes, {count} workers": count for count in (1, 2, 4)}
CONTENDERS = {
    **STEPS,
    SUM: Contender(partial(figures, task="sums", workers=2, threads=1), library=None),
    **{
        name: Contender(partial(figures, task=f"codes{count}", workers=1, threads=1), library=None)
        for name, count in MEMORY.items()
    },
}


def _rows(measured: dict[str, list[Any]]) -> Iterator[Row]:
    for name in STEPS:
        yield Row(f"step, {name}", Range.of(measured[name]), "images/s")
    one, two = STEPS
    yield Row("two workers / one worker", ratio(measured[two], measured[one]), "x", "0.9")
    for size in SUMS:
        times = [figure[f"{4 * size}"] for figure in measured[SUM]]
        yield Row(f"sum of {4 * size / 1e6:g} MB over two workers", Range.of(times), "ms")
    for name, count in MEMORY.items():
        label = f"memory of {CODES:,} codes, a worker of {count}"
        yield Row(label, Range.of(measured[name]), "MB", "" if count == 1 else f"1/{count}")


COMPARISON = Comparison("64x64x3 with two threads in all, and codes of dimension 64", CONTENDERS, _rows)
