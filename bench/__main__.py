#!/usr/bin/env python3
"""Measures the toolkit and prints one table; also writes bench/results.json.

python -m bench
python -m bench --only speed growth --rounds 3
"""

import argparse
import dataclasses
import importlib.metadata
import json
import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path

from glo.runtime import device, errors, files, log

RESULTS = Path(__file__).with_name("results.json")
PACKAGES = ("tensorflow", "keras", "numpy", "h5py", "pillow", "scikit-learn", "torch")


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7, help="interleaved rounds of each comparison (default 7)")
    parser.add_argument("--data_dir", default="datasets", help="where MNIST is (default datasets)")
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", help="these comparisons only; the others stay in results.json"
    )
    asked = parser.parse_args(argv)
    log.setup()
    device.select("cpu")
    from bench import comparisons

    if unknown := set(asked.only or ()) - comparisons.ALL.keys():
        raise errors.UserError(f"no comparison {min(unknown)}: there are {', '.join(comparisons.ALL)}")
    chosen = {name: compare for name, compare in comparisons.ALL.items() if name in (asked.only or comparisons.ALL)}
    results = json.loads(RESULTS.read_text(encoding="utf-8")) if asked.only and RESULTS.exists() else {}
    print(f"{'':58} {'median (range)':>28} {'':9} asked", flush=True)
    for name, compare in chosen.items():
        results[name] = {"machine": machine(), "rows": []}
        for row in compare(asked.rounds, asked.data_dir):
            print(f"{row.name:58} {row.measured!s:>28} {row.unit:9} {row.asked}", flush=True)
            results[name]["rows"].append(dataclasses.asdict(row))
        files.write_text(RESULTS, json.dumps(results, indent=1) + "\n")


def machine() -> dict[str, object]:
    """What the figures were measured on, and when."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        model = next(line.split(": ")[1] for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        model = platform.processor()
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "cpu": model,
        "cores": os.cpu_count(),
        "memory_GB": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in PACKAGES},
    }


if __name__ == "__main__":
    sys.exit(errors.run(main))
