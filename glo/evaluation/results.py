"""The output folder of an evaluation and its metrics.json, which marks the folder as one of ours."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from glo.runtime import files, paths
from glo.runtime.errors import UserError

MAX_BYTES = 1 << 24  # of metrics.json


def read(folder: Path) -> dict[str, Any]:
    """What an earlier evaluation measured; empty if there was none, or if its file is damaged."""
    try:
        results = json.loads(files.read_text(paths.evaluation_metrics(folder), MAX_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    return results if isinstance(results, dict) and "checkpoint" in results else {}


def write(folder: Path, prefix: Path, seed: int, results: dict[str, Any]) -> None:
    """Write metrics.json: what was measured on which checkpoint. Other tasks of an earlier evaluation of it stay."""
    about = {"checkpoint": str(prefix), "seed": seed}
    earlier = read(folder)
    kept = earlier if all(earlier.get(key) == value for key, value in about.items()) else {}
    text = json.dumps({**about, **kept, **results}, indent=1)
    files.write_text(paths.evaluation_metrics(folder), text + "\n")


def save_arrays(path: Path, **arrays: np.ndarray) -> None:
    """Write a compressed .npz file of arrays by name."""
    with files.replacing(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)


def require_free(folder: Path, prefix: str) -> None:
    """Raise `UserError` if the folder holds files that would be replaced and are not an earlier evaluation's."""
    if read(folder):
        return
    for path in (*folder.glob(f"*_{prefix}.*"), paths.evaluation_metrics(folder)):
        if path.exists():
            raise UserError(f"{path} is there already and no evaluation's: add --force, or choose another --output_dir")
