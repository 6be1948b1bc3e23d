"""GLO and its rivals on the same generator, at equal time: python -m bench.rivals [--datasets MNIST ...] [--minutes 5].

Each method trains on each dataset and seed, with the dataset's recipe, and is measured by `evaler.py --rivals`. What is
measured already is not repeated, and an interrupted run is continued, so that this may be stopped at any time. After
each run, rivals.md in the output folder holds the table, and rivals_<dataset>.png samples side by side.
"""

import argparse
import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np

from glo import pictures
from glo.data.dataset import load_dataset
from glo.evaluation import compare, results, rival_table
from glo.model import geometry
from glo.runtime import errors, files, log, paths
from glo.runtime.errors import UserError
from glo.settings import TrainSettings
from glo.settings.train import METHODS

ROOT = Path(__file__).resolve().parent.parent
SHOWN, PANELS = 32, 3  # samples of a method in the picture, and methods in a row
# By name: the flags of each entrant.
ENTRANTS = {
    **{method: ["--method", method] for method in METHODS},
    "rae": ["--method", "autoencoder", "--gradient_penalty", "1e-6", "--code_decay", "1e-4"],
}


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.rivals", description=__doc__.splitlines()[0])
    parser.add_argument("--datasets", nargs="+", default=["MNIST"], help="built datasets (default MNIST)")
    parser.add_argument("--methods", nargs="+", default=list(ENTRANTS), choices=list(ENTRANTS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], help="seeds of training (default 0)")
    parser.add_argument("--minutes", default="5", help="of training for each run (default 5)")
    parser.add_argument(
        "--channels", type=int, help="of the finest map of every generator (default: as trainer.py without --minutes)"
    )
    parser.add_argument("--data_dir", default="datasets", help="folder of all datasets")
    parser.add_argument("--out", default="rivals", help="folder of runs, tables and pictures (default rivals)")
    parser.add_argument("--num_fit", default="1000", help="held-out images to which codes are fitted (default 1000)")
    parser.add_argument("--runs", type=int, help="train or continue at most this many runs in this call")
    options = parser.parse_args(argv)
    log.setup()
    left = itertools.count() if options.runs is None else range(options.runs)
    unmeasured = (key for key in _keys(options) if not _measured(_run(Path(options.out), *key)))
    for _, key in zip(left, unmeasured, strict=False):
        measure(options, *key)
        write(options)
    write(options)


def measure(options: argparse.Namespace, dataset: str, seed: int, name: str) -> None:
    """Train a run, or continue to, and measure it. Raises `UserError` if a command fails.

    All entrants have the same generator; without --channels, trainer.py --minutes would choose the width for each.
    """
    out = Path(options.out)
    run = _run(out, dataset, seed, name)
    if run and paths.steps(run):
        result = _call("trainer.py", "--checkpoint", run, check=False)  # refuses if the run is complete
        if result not in (0, 2):
            raise UserError(f"{run} could not be continued: read its log.txt")
    else:
        width = [] if name == "pca" else ["--channels", options.channels or _channels(dataset, options.data_dir)]
        _call("trainer.py", "--dataset", dataset, "--data_dir", options.data_dir, "--train_dir", out, "--seed", seed,
              "--prefix", _prefix(seed, name), "--minutes", options.minutes, *width, *ENTRANTS[name])  # fmt: skip
        run = _run(out, dataset, seed, name)
    sampler = ["--sampler", "gmm", "--components", "50"] if name not in ("vae", "gan") else []
    _call("evaler.py", "--checkpoint", run, "--rivals", "--generate", "--temperature", "1", "--num_fit",
          options.num_fit, *sampler)  # fmt: skip


def write(options: argparse.Namespace) -> None:
    """Write the table and the pictures of all runs that have been measured."""
    out = Path(options.out)
    measured = {key: run for key in _keys(options) if _measured(run := _run(out, *key))}
    if not measured:
        return
    table = rival_table.table(compare.read([str(run) for run in measured.values()]))
    files.write_text(out / "rivals.md", table + "\n")
    print(table, flush=True)
    for dataset in options.datasets:
        panels = []
        for (_, seed, name), run in ((key, run) for key, run in measured.items() if key[0] == dataset):
            if seed == options.seeds[0]:
                with np.load(_evaluation(run) / "generate_default.npz") as arrays:
                    panels.append(pictures.panel(f"{name}, samples", arrays["image"][:SHOWN]))
        if panels:
            rows = [pictures.beside(*panels[i : i + PANELS]) for i in range(0, len(panels), PANELS)]
            pictures.save(out / f"rivals_{dataset.lower()}.png", pictures.below(*rows))


def _keys(options: argparse.Namespace) -> list[tuple[str, int, str]]:
    """Dataset, seed and name of all runs, in the order in which they are made."""
    return [(d, s, m) for s in options.seeds for d in options.datasets for m in options.methods]


def _prefix(seed: int, name: str) -> str:
    return f"{name}.{seed}"


def _run(out: Path, dataset: str, seed: int, name: str) -> Path | None:
    """The newest run folder of a dataset, seed and entrant."""
    start = f"{_prefix(seed, name)}-{dataset}_lr_"
    return next((run for run in paths.runs(str(out)) if run.name.startswith(start)), None)


def _channels(dataset: str, data_dir: str) -> int:
    """Channels of the finest hidden map."""
    settings = TrainSettings(dataset=dataset, data_dir=data_dir)
    return geometry.maps(load_dataset(settings, rows_only=True).image_shape, settings)[-2][2]


def _measured(run: Path | None) -> bool:
    return run is not None and "rivals" in results.read(_evaluation(run))


def _evaluation(run: Path) -> Path:
    """The folder of the evaluation of a run's newest checkpoint."""
    return paths.evaluation(run, max(paths.steps(run), default=0))


def _call(script: str, *args: object, check: bool = True) -> int:
    """Run a command as a process of its own, so that its peak of memory is its own; returns its exit code."""
    command = [sys.executable, str(ROOT / script), *map(str, args)]
    code = subprocess.run(command).returncode
    if check and code:
        raise UserError(f"{' '.join(command[1:])} ended with exit code {code}")
    return code


if __name__ == "__main__":
    sys.exit(errors.run(main))
