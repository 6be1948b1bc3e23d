"""Which sampler a run should have: python -m bench.samplers RUN [--samplers gmm,kde] [--components 50,200] [--test]

Samples of each sampler, number of components and temperature are compared with one half of the held-out images, which
serves for validation: Frechet distance against copying, in the features of evaler.py --extractor auto. More components,
or a lower temperature, often lower the distance because samples become copies; the choice is the lowest distance within
the limits of copying. --test measures the choice on the other half: use it once, at the end.
"""

import argparse
import io
import itertools
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

import glo
from glo.run import Run
from glo.runtime import errors, files, log
from glo.runtime.errors import UserError
from glo.settings import MIXTURES, SAMPLERS, EvalSettings, numbers

COMPONENTS = (10, 25, 50, 100, 200, 400, 800, 1200)
# Limits of copying; the last two are relative to the control.
MIN_C_T, MAX_NEARER, MIN_AUTHENTIC, MAX_MEMBERSHIP = -0.5, 0.515, -0.02, 0.02
T = TypeVar("T")


@dataclass(frozen=True)
class Candidate:
    """A sampler with its options; without one, real images in the place of samples."""

    sampler: str
    components: int | None = None
    temperature: float = 1.0

    def __str__(self) -> str:
        components = f" {self.components}" if self.components else ""
        return f"{self.sampler}{components}" + (f" T {self.temperature:g}" if self.temperature != 1 else "")


@dataclass(frozen=True)
class Row:
    """Figures of a candidate. Those that are not measured are None."""

    name: str
    frechet: float
    c_t: float | None
    nearer: float | None
    authentic: float
    membership: float
    log_likelihood: float | None = None
    fitted_log_likelihood: float | None = None

    def within_limits(self, control: "Row") -> bool:
        """Whether copying is measured and within the limits."""
        if self.c_t is None or self.nearer is None:
            return False
        authentic = self.authentic >= control.authentic + MIN_AUTHENTIC
        member = self.membership <= control.membership + MAX_MEMBERSHIP
        return self.c_t >= MIN_C_T and self.nearer <= MAX_NEARER and authentic and member


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.samplers", description=__doc__.splitlines()[0])
    parser.add_argument("run", help="run folder or RUN/model-STEP")
    parser.add_argument("--data_dir", help="folder of all datasets (default: as in training)")
    parser.add_argument("--samplers", default="gaussian,gmm,leading,kde", help=f"some of {', '.join(SAMPLERS)}")
    parser.add_argument(
        "--components", default=",".join(map(str, COMPONENTS)), help="numbers of components of gmm and leading"
    )
    parser.add_argument("--temperatures", default="0.85,1")
    parser.add_argument("--num", type=int, default=5000, help="samples of each candidate (default 5000)")
    parser.add_argument("--seed", type=int, default=0, help="of the halves of the held-out images, fits and samples")
    parser.add_argument("--output_dir", help="folder of samplers.json and samplers.png (default: the run folder)")
    parser.add_argument("--test", action="store_true", help="measure the choice on the half for testing: only once")
    settings = parser.parse_args(argv)
    candidates = list(_candidates(settings))
    if settings.num < 1:
        raise UserError(f"--num {settings.num}: give 1 or more")
    log.setup()
    run = glo.load(settings.run, settings.data_dir)
    if not run.dataset or len(run.dataset.test_rows) < 4:
        raise UserError(f"{settings.run} needs its dataset in --data_dir, with at least 4 held-out images")
    folder = Path(settings.output_dir or run.prefix.parent)
    files.require_writable(folder)
    from glo.features import extractors

    extractor = extractors.make(EvalSettings(), run.dataset)
    judges = Judge.of_halves(run, extractor, settings.num, settings.seed)
    judge, controls = judges[0], judges[0].controls()
    print(
        f"{judge.n} held-out images for validation, {settings.num} samples of each candidate, in the features of the "
        f"extractor {extractor.name}\n{_line(None)}"
    )
    rows = []
    for row in itertools.chain(controls, judge.rows(candidates)):
        rows.append(row)
        print(_line(row), flush=True)
    passed = [row for row in rows[len(controls) :] if row.within_limits(controls[0])]
    chosen = min(passed, key=lambda row: row.frechet, default=None)
    print(f"\nchosen: {chosen.name if chosen else 'none: every candidate copies, or copying cannot be measured'}")
    results = {"controls": [asdict(row) for row in controls], "rows": [asdict(row) for row in rows[len(controls) :]]}
    results |= {"extractor": extractor.describe(), "chosen": chosen and chosen.name}
    if settings.test and chosen:
        tested = [*judges[1].controls(), *judges[1].rows([c for c in candidates if str(c) == chosen.name])]
        results["test"] = [asdict(row) for row in tested]
        print(f"\n{judges[1].n} held-out images for testing", *map(_line, [None, *tested]), sep="\n")
    files.write_text(folder / "samplers.json", json.dumps(results, indent=1) + "\n")
    with files.replacing(folder / "samplers.png") as temporary:
        temporary.write_bytes(plot(rows[len(controls) :], controls[0], chosen))
    print(f"written to {folder / 'samplers.json'} and .png")


class Judge:
    """Compares samples with held-out images. Features of real images are computed once for all candidates."""

    def __init__(self, run: Run, extractor: Callable, train: np.ndarray, rows: np.ndarray, num: int, seed: int):
        """train: features of all training images. rows: held-out rows of the dataset in random order, int64 [n]."""
        from glo.features import extractors
        from glo.metrics.copying import CopyingTest
        from glo.samplers import cache

        self._features = lambda images: extractors.features(extractor, images)
        self._run, self._train, self._num, self._seed, self.n = run, train, num, seed, len(rows)
        self._real = self._features(run.dataset.images[rows])
        self._control = self._real[self.n // 2 :]
        self._test = CopyingTest(train, self._real[: self.n // 2], seed)
        half = np.isin(np.arange(len(train)), cache.half(len(train), seed))
        self._halves = train[half], train[~half]

    @classmethod
    def of_halves(cls, run: Run, extractor: Callable, num: int, seed: int) -> tuple["Judge", "Judge"]:
        """The judges of two random halves of the held-out images, for validation and for testing."""
        from glo.data.randomness import Stream, permutation
        from glo.features import extractors

        held_out = run.dataset.test_rows
        train = extractors.features(extractor, run.dataset.train_images)
        halves = np.array_split(held_out[permutation(len(held_out), seed, Stream.VALIDATION_HALVES)], 2)
        validation, test = (cls(run, extractor, train, rows, num, seed) for rows in halves)
        return validation, test

    def controls(self) -> list[Row]:
        """Held-out images in the place of samples, for copying, and training images, for the Frechet distance.

        Membership of training images is measured with images of the first half.
        """
        random = np.random.default_rng(self._seed)
        training, members = (
            features[random.permutation(len(features))[: self._num]] for features in (self._train, self._halves[0])
        )
        return [
            self._row("held-out images", self._control, self._control),
            self._row("training images", training, members),
        ]

    def rows(self, candidates: list[Candidate]) -> Iterator[Row]:
        """The row of each candidate. Samplers are fitted once for all temperatures, and again to half of the codes."""
        from glo.samplers.cache import fitted

        run = self._run
        projection, conditions = run.settings.projection, run.draw_conditions(self._num, self._seed)
        halves = {}
        with tempfile.TemporaryDirectory() as folder:
            for candidate in candidates:
                file = Path(folder, "samplers", f"{candidate.sampler}_{candidate.components}.npz")
                options = {"components": candidate.components} if candidate.components else {}
                sampler = fitted(file, candidate.sampler, run.codes, self._seed, projection, options)
                if file not in halves:
                    halves = {file: sampler.fit_half(run.codes, self._seed)[0]}
                drawn = (
                    source.draw(self._num, self._seed, projection, candidate.temperature)
                    for source in (sampler, halves[file])
                )
                features, members = (self._features(run.decoder.images(codes, conditions)) for codes in drawn)
                likelihoods = sampler.log_likelihood, sampler.fitted_log_likelihood
                yield self._row(str(candidate), features, members, *likelihoods)

    def _row(self, name: str, features: np.ndarray, members: np.ndarray, *likelihoods: float | None) -> Row:
        """members: features of samples of a sampler that is fitted to half of the codes."""
        from glo.metrics.copying import membership
        from glo.metrics.distances import frechet

        measured = self._test.measure(features)
        nearer = measured.nearer and measured.nearer.value
        member = membership(members, *self._halves).value
        distance = frechet(self._real, features)
        return Row(name, distance, measured.c_t, nearer, measured.authentic, member, *likelihoods)


def plot(rows: list[Row], control: Row, chosen: Row | None) -> bytes:
    """A PNG file: Frechet distance against C_T, with the limit and the control."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 6), layout="constrained")
    axes = figure.subplots()
    for row in rows:
        if row.c_t is not None:
            axes.plot(row.c_t, row.frechet, "o", color="tab:red" if row == chosen else "tab:blue", markersize=5)
            axes.annotate(row.name, (row.c_t, row.frechet), (4, 3), textcoords="offset points", fontsize=7)
    axes.axvline(MIN_C_T, color="tab:gray", linestyle="--", label="limit of copying")
    if control.c_t is not None:
        axes.axvline(control.c_t, color="tab:green", linestyle=":", label="held-out images")
    axes.set(xlabel="C_T (below 0: samples are copies)", ylabel="Frechet distance", yscale="log")
    axes.grid(alpha=0.3, which="both")
    axes.legend()
    encoded = io.BytesIO()
    figure.savefig(encoded, format="png", dpi=120)
    return encoded.getvalue()


def _candidates(settings: argparse.Namespace) -> Iterator[Candidate]:
    """Every sampler with every number of components, if it has some, at every temperature."""
    names = settings.samplers.split(",")
    if unknown := set(names) - set(SAMPLERS):
        raise UserError(f"--samplers {settings.samplers}: there is no {min(unknown)}, only {', '.join(SAMPLERS)}")
    counts = _numbers("--components", settings.components, int)
    for name in dict.fromkeys(names):
        for components in counts if name in MIXTURES else (None,):
            for temperature in _numbers("--temperatures", settings.temperatures, float):
                yield Candidate(name, components, temperature)


def _numbers(flag: str, text: str, kind: type[T]) -> list[T]:
    """Positive numbers that are separated by commas."""
    try:
        values = [numbers.parse(part.strip(), kind) for part in text.split(",")]
    except ValueError:
        values = []
    if not values or min(values) <= 0:
        raise UserError(f"{flag} {text}: give positive numbers, such as {'50,200' if kind is int else '0.85,1'}")
    return list(dict.fromkeys(values))


def _line(row: Row | None) -> str:
    """A line of the table; its header for None."""
    if row is None:
        names = ("Frechet", "C_T", "nearer", "authentic", "membership", "log-lik.", "of fitted")
        return f"{'':20}" + "".join(f"{name:>11}" for name in names)
    _, *values = asdict(row).values()
    return f"{row.name:20}" + "".join("          -" if value is None else f"{value:11.4g}" for value in values)


if __name__ == "__main__":
    sys.exit(errors.run(main))
