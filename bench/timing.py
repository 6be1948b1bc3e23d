"""Timing in turns, A B A B, so that other load on the machine slows all contenders alike."""

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

Figure = TypeVar("Figure")


@dataclass(frozen=True)
class Range:
    """Median, minimum and maximum of some measurements."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: list[float]) -> "Range":
        return cls(statistics.median(values), min(values), max(values))

    def __str__(self) -> str:
        return f"{self.median:.4g} ({self.low:.4g} - {self.high:.4g})"


@dataclass(frozen=True)
class Row:
    """A line of the table: a quantity, its measured range, and the value it should reach, if there is one."""

    name: str
    measured: Range
    unit: str
    target: str = ""


def in_turn(contenders: dict[str, Iterator[Figure]], rounds: int, warm_up: int = 1) -> dict[str, list[Figure]]:
    """Take the next figure of every contender once a round. The figures of the first `warm_up` rounds are dropped."""
    figures: dict[str, list[Figure]] = {name: [] for name in contenders}
    for number in range(warm_up + rounds):
        for name, contender in contenders.items():
            figure = next(contender)
            if number >= warm_up:
                figures[name].append(figure)
    return figures


def ratio(numerators: list[float], denominators: list[float]) -> Range:
    """The range of the ratios of figures from the same round."""
    return Range.of([a / b for a, b in zip(numerators, denominators, strict=True)])


def rate(action: Callable[[], object], count: int, repeats: int = 1) -> float:
    """Units per second of an action that handles `count` units: the median of `repeats` calls."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - start)
    return count / statistics.median(seconds)
