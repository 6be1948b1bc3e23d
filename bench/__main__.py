#!/usr/bin/env python3
"""Measure the toolkit, print a table, and record it in bench/results.json for this kind of CPU.

python -m bench
python -m bench --only speed growth --rounds 3
"""

import argparse
import contextlib
import sys
import tempfile
from pathlib import Path

from bench import results, worker
from bench.comparison import Setup
from bench.comparisons import ALL
from bench.timing import Row, in_turn
from glo.runtime import device, errors


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7, help="rounds, in which contenders take turns (default 7)")
    parser.add_argument("--data_dir", default="datasets", help="folder of all datasets, with MNIST (default datasets)")
    parser.add_argument("--only", nargs="+", metavar="NAME", help=f"run these comparisons only: {', '.join(ALL)}")
    parser.add_argument(
        "--tiny", action="store_true", help="use a few images and steps, to test that all runs, and record nothing"
    )
    options = parser.parse_args(argv)
    if unknown := set(options.only or ()) - ALL.keys():
        raise errors.UserError(
            f"--only {min(unknown)}: no such comparison{errors.did_you_mean(min(unknown), ALL)}; "
            f"there are {', '.join(ALL)}"
        )
    device.select("cpu")
    kind = results.cpu_kind()
    print(f"{kind}\n\n{'':58} {'median (range)':>28} {'':9} target", flush=True)
    for name in options.only or ALL:
        print(f"{name}: {ALL[name].about}", flush=True)
        for label, contender in ALL[name].contenders.items():
            if not contender.installed:
                print(f"  {label}: left out, since {contender.library} is not installed", flush=True)
        rows = measure(name, options.rounds, options.data_dir, options.tiny)
        for row in rows:
            print(f"  {row.name:56} {row.measured!s:>28} {row.unit:9} {row.target}", flush=True)
        if not options.tiny:
            results.record(results.PATH, kind, name, rows)


def measure(name: str, rounds: int, data_dir: str, tiny: bool) -> list[Row]:
    """Run a comparison, each contender in a process of its own. Raises `UserError` if its dataset is missing."""
    comparison = ALL[name]
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        setup = Setup(data_dir, Path(folder), tiny)
        contenders = {
            label: stack.enter_context(contextlib.closing(worker.figures(name, label, contender, setup)))
            for label, contender in comparison.contenders.items()
            if contender.installed
        }
        figures = in_turn(contenders, max(1, round(comparison.turns * rounds)), comparison.warm_up)
    return list(comparison.rows(figures))


if __name__ == "__main__":
    sys.exit(errors.run(main))
