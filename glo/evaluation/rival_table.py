"""Methods side by side: a line for each method and dataset, with means over the seeds, from what --rivals measured."""

import math
import statistics
from collections.abc import Callable, Sequence
from typing import Any

from glo.evaluation import results
from glo.evaluation.compare import Compared
from glo.runtime import paths
from glo.runtime.errors import UserError
from glo.runtime.log import logger
from glo.settings import TrainSettings, fields
from glo.settings.methods import DEFAULTS

# Columns: their headings, and functions of what --rivals measured and of the run's figures. What is not there is None.
Column = Callable[[dict[str, Any], dict[str, Any]], float | None]
COLUMNS: dict[str, Column] = {
    "train PSNR": lambda measured, _: measured["train_psnr"],
    "held-out PSNR": lambda measured, _: measured["heldout_psnr"],
    "encoder PSNR": lambda measured, _: measured["encoder_psnr"],
    "reconstructions": lambda measured, _: measured["frechet"]["reconstructions"],
    "one Gaussian": lambda measured, _: measured["frechet"]["gaussian"],
    "mixture": lambda measured, _: measured["frechet"]["mixture"],
    "leading": lambda measured, _: measured["frechet"].get("leading"),
    "midpoints": lambda measured, _: measured["frechet"]["midpoints"],
    "C_T": lambda measured, _: measured["copying"]["samples"]["c_t"],
    "nearer": lambda measured, _: measured["copying"]["samples"]["nearer"],
    "authentic %": lambda measured, _: 100 * measured["copying"]["samples"]["authentic"],
    "seconds": lambda _, figures: figures["seconds"],
    "images": lambda _, figures: figures["images"],
    "memory MB": lambda _, figures: figures.get("peak_memory"),
}
DIGITS = {"nearer": 3, "seconds": 0, "images": 0, "memory MB": 0}  # others have 1 (dB, %) or 2
SHOWN = ("beta", "gradient_penalty", "code_decay", "weight_decay", "conditional")  # settings named if not the default


def lines(runs: Sequence[Compared]) -> list[dict[str, Any]]:
    """A line for each dataset and method: its names, and for each column the values of the runs, one for each seed.

    A warning is logged if runs on the same dataset were measured with different extractors.
    Raises `UserError` if no run was measured with --rivals.
    """
    grouped: dict[tuple[str, str], dict[str, list[float]]] = {}
    networks: dict[str, set[str]] = {}
    for run in runs:
        measured = _measured(run)
        if measured is None:
            continue
        settings = fields.resolve(TrainSettings, fields.read_yaml(paths.config(run.folder)))
        last = {**run.figures, "peak_memory": run.records[-1].get("peak_memory")}
        try:
            values = {name: column(measured, last) for name, column in COLUMNS.items()}
            values["floor"] = measured["frechet"]["training"]
            values["floor of reconstructions"] = measured["frechet"]["training_few"]
            network = str(measured["extractor"]["sha256"])
        except (KeyError, TypeError):
            reason = "its results are not those of --rivals: evaluate it again"
            raise UserError(f"--compare {run.folder}: {reason}") from None
        networks.setdefault(settings.dataset, set()).add(network)
        group = grouped.setdefault((settings.dataset, label(settings)), {})
        for name, value in values.items():
            if value is not None:
                group.setdefault(name, []).append(value)
    if not grouped:
        raise UserError("--table rivals needs runs that python evaler.py --checkpoint RUN --rivals has measured")
    for dataset in [name for name, different in networks.items() if len(different) > 1]:
        logger.warning("distances on %s are not comparable: the runs differ in the extractor", dataset)
    return [{"dataset": dataset, "method": method, **values} for (dataset, method), values in grouped.items()]


def table(runs: Sequence[Compared]) -> str:
    """For people: a Markdown table, with the mean of several seeds, and half the range behind it.

    Raises `UserError` if no run was measured with --rivals.
    """
    measured = lines(runs)
    rows = [["dataset", "method", "seeds", *COLUMNS], ["---"] * (3 + len(COLUMNS))]
    for line in measured:
        seeds = len(line["train PSNR"])
        rows.append([line["dataset"], line["method"], str(seeds), *(_cell(name, line.get(name)) for name in COLUMNS)])
    floors = {line["dataset"]: (line["floor"][0], line["floor of reconstructions"][0]) for line in measured}
    notes = [
        f"{dataset}: training images in place of samples {floor:.2f}, of reconstructions {few:.2f}"
        for dataset, (floor, few) in floors.items()
    ]
    return "\n".join(["| " + " | ".join(row) + " |" for row in rows] + [""] + notes)


def label(settings: TrainSettings) -> str:
    """The method, and those of its settings that are not the default."""
    default = {name: DEFAULTS[settings.method].get(name, getattr(TrainSettings, name)) for name in SHOWN}
    others = [f"{name} {getattr(settings, name)}" for name in SHOWN if getattr(settings, name) != default[name]]
    return ", ".join([settings.method, *others])


def _measured(run: Compared) -> dict[str, Any] | None:
    """What the newest evaluation with --rivals measured, or None if there is none."""
    newest = None
    folders = run.folder.glob(paths.evaluation(run.folder, "*").name)
    for folder in sorted(folders, key=lambda path: path.stat().st_mtime):
        measured = results.read(folder).get("rivals")
        newest = measured if isinstance(measured, dict) else newest
    return newest


def _cell(name: str, values: list[float] | None) -> str:
    if not values or not all(isinstance(value, int | float) and math.isfinite(value) for value in values):
        return "-"
    digits = DIGITS.get(name, 1 if "PSNR" in name or "%" in name else 2)
    text = f"{statistics.fmean(values):,.{digits}f}"
    return text if len(values) == 1 else f"{text} ± {(max(values) - min(values)) / 2:,.{digits}f}"
