"""Comparisons in turn, A B A B: whatever else the machine does meets all contenders alike."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Range:
    """Median, least and largest of some measurements."""

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
    """A line of the table: a quantity and the range that was measured, with what is asked of it, if anything."""

    name: str
    measured: Range
    unit: str
    asked: str = ""


def in_turn(contenders: dict[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Call every contender once a round; each returns its own figure. The first round, which warms up, is dropped."""
    figures: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds + 1):
        for name, contender in contenders.items():
            figure = contender()
            if number:
                figures[name].append(figure)
    return figures


def ratio(above: list[float], below: list[float]) -> Range:
    """Of figures of the same rounds."""
    return Range.of([a / b for a, b in zip(above, below, strict=True)])


def rate(act: Callable[[], object], count: int, repeats: int = 1) -> float:
    """Units a second, if one call handles `count` of them; the median of `repeats` calls."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        act()
        seconds.append(time.perf_counter() - start)
    return count / statistics.median(seconds)
