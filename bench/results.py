"""bench/results.json: the newest rows of every comparison, for each kind of CPU on which the bench has run."""

import dataclasses
import importlib.metadata
import json
import os
import platform
from datetime import UTC, datetime
from pathlib import Path

from bench.comparisons import ALL
from bench.timing import Row
from glo.runtime import device, files

PATH = Path(__file__).with_name("results.json")
PACKAGES = ("keras", "numpy", "h5py", "pillow", "scikit-learn", "torch")
# Instructions that decide which kernels oneDNN and TensorFlow use, by their flags in /proc/cpuinfo, best first.
INSTRUCTIONS = {"avx512_bf16": "AVX512 with bfloat16", "avx512f": "AVX512", "avx2": "AVX2"}


def record(path: Path, kind: str, comparison: str, rows: list[Row]) -> None:
    """Replace the rows of a comparison on a kind of CPU, and leave all others as they are.

    The file holds {kind: {comparison: {"machine": facts, "rows": [row, ...]}}}.
    """
    results = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    measured = results.get(kind, {})
    measured[comparison] = {"machine": machine(), "rows": [dataclasses.asdict(row) for row in rows]}
    results[kind] = {name: measured[name] for name in ALL if name in measured}
    files.write_text(path, json.dumps(results, indent=1, allow_nan=False) + "\n")


def cpu_kind(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The model of the CPU, and the best of `INSTRUCTIONS` that it has: "AMD EPYC, AVX512 with bfloat16"."""
    try:
        text = cpuinfo.read_text(encoding="utf-8")
    except OSError:  # not Linux
        return platform.processor() or platform.machine()
    facts = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    facts = {name.strip(): value.strip() for name, value in facts.items()}
    model, flags = facts.get("model name", platform.machine()), facts.get("flags", "").split()
    instructions = next((name for flag, name in INSTRUCTIONS.items() if flag in flags), None)
    return f"{model}, {instructions}" if instructions else model


def machine() -> dict[str, object]:
    """Facts on which the figures depend besides the kind of CPU, and the time of the measurement."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "cores": os.cpu_count(),
        "memory_GB": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **device.numerics(),
        **{name: _version(name) for name in PACKAGES},
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
