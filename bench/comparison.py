"""Comparisons: contenders that take turns, and the rows of the table that are computed from their figures."""

import dataclasses
import importlib.util
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.timing import Row
from glo.settings import TrainSettings

TINY_IMAGES, TINY_STEPS = 32, 2


@dataclass(frozen=True)
class Setup:
    """The arguments from which a contender is built.

    data_dir: the folder of datasets. folder: a temporary folder that the contenders of a comparison share.
    tiny: use a small model and a few images and steps, to test that everything runs; the figures mean nothing.
    """

    data_dir: str
    folder: Path
    tiny: bool = False

    def images(self, n: int) -> int:
        """The number of images to use where the full measurement uses n."""
        return min(n, TINY_IMAGES) if self.tiny else n

    def steps(self, n: int) -> int:
        """The number of steps to take where the full measurement takes n."""
        return min(n, TINY_STEPS) if self.tiny else n

    def settings(self, settings: TrainSettings) -> TrainSettings:
        """The settings to train with, which describe a smaller model where the setup is tiny."""
        return dataclasses.replace(settings, channels=1, loss="mse") if self.tiny else settings


# The figures of a contender, one for each round: a number, or several numbers by name.
Figures = Iterator[float] | Iterator[dict[str, float]]


@dataclass(frozen=True)
class Contender:
    """One side of a comparison, which is measured in a process of its own.

    figures: builds the contender, then measures one round for each figure that it yields.
    library: "tensorflow" or "torch", or None if its process needs neither. If the library is not installed, the
        contender is left out.
    environment: environment variables of its process.
    """

    figures: Callable[[Setup], Figures]
    library: str | None = "tensorflow"
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def installed(self) -> bool:
        """Whether its library can be imported."""
        return self.library is None or importlib.util.find_spec(self.library) is not None


@dataclass(frozen=True)
class Comparison:
    """Contenders, and the rows of the table that report them.

    about: heading of the rows.
    rows: computes the rows from the figures of the installed contenders, one figure per round.
    turns: number of rounds for each round of the bench; at least one is measured.
    warm_up: number of first rounds whose figures are dropped.
    """

    about: str
    contenders: dict[str, Contender]
    rows: Callable[[dict[str, list[Any]]], Iterator[Row]]
    turns: float = 1
    warm_up: int = 1
