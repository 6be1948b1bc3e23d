"""Runs side by side: a table of what was measured, and curves against the seconds and the images that they took."""

import csv
import io
import os
import reprlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glo.evaluation import results
from glo.runtime import files, paths
from glo.runtime.errors import UserError
from glo.runtime.log import logger
from glo.settings import fields, numbers
from glo.training import history

CURVES = {"train_psnr": "train PSNR [dB]", "heldout_psnr": "held-out PSNR [dB]", "loss": "training loss"}
CLOCKS = {"seconds": "seconds of training", "images": "images seen"}
MAX_TEXT = 80  # characters of a name or a text among the figures
# Older evaluations lack most of these.
SAMPLER = (
    "sampler", "components", "bandwidth", "temperature", "fitted_to", "log_likelihood", "fitted_log_likelihood", "n",
)  # fmt: skip
COPYING = ("c_t", "nearer", "authentic", "membership")
Figures = dict[str, float | int | str]


@dataclass(frozen=True)
class Compared:
    """A run: its folder, its records with `seconds` and `images`, and its last figures by name."""

    folder: Path
    records: list[dict[str, Any]]
    figures: Figures


def read(folders: Sequence[str]) -> list[Compared]:
    """The runs, in the order given; a folder that holds runs stands for all of them, by name.

    Raises `UserError` for a folder that is neither.
    """
    paths_of_runs = dict.fromkeys(run for folder in folders for run in _runs(Path(folder)))
    runs = []
    for run in paths_of_runs:
        try:
            runs.append(_read(run))
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise UserError(f"--compare {run}: its results are not those of a run ({error!r}): leave it out") from None
        except OSError as error:
            raise UserError(f"--compare {run}: cannot read its results: {error.strerror}; leave it out") from None
    for name in ("n", "extractor_sha256"):
        if len({run.figures[name] for run in runs if name in run.figures}) > 1:
            logger.warning("distances of samples are not comparable: the runs differ in %s", name)
    return runs


def table(runs: Sequence[Compared]) -> str:
    """For people: the runs numbered, then a line for each figure and a column for each run.

    Logs which runs have not been evaluated.
    """
    if not_evaluated := [run.folder.name for run in runs if "train_psnr" not in run.figures]:
        logger.info("not evaluated yet: %s; python evaler.py --checkpoint RUN does it", ", ".join(not_evaluated))
    names = _names(runs)
    cells = [["", *(f"[{number}]" for number in range(1, len(runs) + 1))]]
    cells += [[name, *(_short(run.figures.get(name)) for run in runs)] for name in names]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    legend = [f"[{number}] {run.folder}" for number, run in enumerate(runs, 1)]
    lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in cells]
    return "\n".join(legend + lines)


def write(runs: Sequence[Compared], folder: Path, prefix: str, force: bool) -> list[Path]:
    """compare_<prefix>.csv, a line for each run, and .png, the curves. Returns the paths.

    Raises `UserError` if such files are there that are not an earlier comparison, unless `force`.
    """
    sheet, picture = folder / f"compare_{prefix}.csv", folder / f"compare_{prefix}.png"
    if not force and not _is_sheet(sheet) and (os.path.lexists(sheet) or os.path.lexists(picture)):
        raise UserError(f"{sheet} or .png is there already and no comparison's: add --force, or choose another folder")
    text = io.StringIO()
    writer = csv.DictWriter(text, ["run", *_names(runs)], lineterminator="\n")
    writer.writeheader()
    writer.writerows({"run": str(run.folder), **run.figures} for run in runs)
    files.write_text(sheet, text.getvalue())
    with files.replacing(picture) as temporary:
        temporary.write_bytes(_curves(runs))
    return [sheet, picture]


def _runs(folder: Path) -> list[Path]:
    """The folder, if it is a run, else the runs in it by name."""
    name = paths.metrics(folder).name
    try:
        names = os.listdir(folder)
    except OSError as error:
        raise UserError(f"--compare {folder}: {error.strerror}: give folders with {name}") from None
    if name in names:
        return [folder]
    inside = [folder / run for run in sorted(names) if os.path.lexists(folder / run / name)]
    if not inside:
        raise UserError(f"--compare {folder}: no run folder, and none in it: give folders with {name}")
    return inside


def _is_sheet(path: Path) -> bool:
    """Whether a file is a table that `write` wrote."""
    try:
        with files.open_regular(path) as file:
            return file.read(4) == b"run,"
    except OSError:
        return False


def _read(run: Path) -> Compared:
    try:
        batch_size = numbers.parse(str(fields.read_yaml(paths.config(run)).values.get("batch_size")), int)
    except ValueError:
        raise UserError(
            f"{paths.config(run)} does not say the batch size: --compare needs folders of trainer.py"
        ) from None
    if batch_size < 1:
        raise UserError(f"{paths.config(run)}: a batch size of {batch_size} is not that of a run: leave it out")
    records = history.read(run)
    if not records:
        raise UserError(f"{paths.metrics(run)} holds no record yet")
    records = history.clocked(records, batch_size)
    figures: Figures = {key: records[-1][key] for key in ("step", *CLOCKS)}
    for name in CURVES:
        if values := [record[name] for record in records if name in record]:
            figures[f"logged_{name}"] = values[-1]
    return Compared(run, records, figures | _evaluated(run))


def _evaluated(run: Path) -> Figures:
    """The figures of the newest evaluation of a run, which are of more training images than the logged ones.

    Raises `ValueError`, `TypeError`, `KeyError` or `AttributeError` if they are not those of an evaluation.
    """
    evaluation: dict[str, Any] = {}
    for folder in sorted(run.glob(paths.evaluation(run, "*").name), key=lambda path: path.stat().st_mtime):
        evaluation = results.read(folder) or evaluation
    measured = evaluation.get("metrics", {})
    figures: Figures = {}
    for name, part in (("train", evaluation.get("train")), ("heldout", evaluation.get("test"))):
        for key, value in {**(part or {}), **measured.get(name.replace("heldout", "test"), {})}.items():
            if key in ("psnr", "psnr_image_mean", "psnr_pca", "ssim") or key.startswith("ms_ssim"):
                figures[f"{name}_{key}"] = value
    if measured:
        figures |= {name: measured[name] for name in SAMPLER if measured.get(name) is not None}
        for name, value in measured["samples"].items():
            figures |= {name: value, f"{name}_floor": measured["floor"][name]}
        figures |= _copying(measured.get("copying") or {})
        figures["extractor_sha256"] = measured["extractor"]["sha256"][:12]
    figures = {name: value for name, value in figures.items() if value is not None}
    for name, value in figures.items():
        if not (_is_plain(name) and (type(value) in (int, float) or _is_plain(value))):
            raise ValueError(f"{reprlib.repr(name)} is {reprlib.repr(value)}")
    return figures


def _copying(measured: dict[str, Any]) -> Figures:
    """Figures of copying, those of samples before those of each control."""
    return {
        name if part == "samples" else f"{name}_{part}": measured[part][name]
        for name in COPYING
        for part in ("samples", "held_out", "fits")
        if part in measured and measured[part].get(name) is not None
    }


def _is_plain(text: Any) -> bool:
    """Whether a value is a text that fits into a table, and that no terminal obeys."""
    return isinstance(text, str) and text.isprintable() and len(text) <= MAX_TEXT


def _names(runs: Sequence[Compared]) -> list[str]:
    """Names of all figures, those of the first run first."""
    return list(dict.fromkeys(name for run in runs for name in run.figures))


def _short(value: float | int | str | None) -> str:
    return "-" if value is None else f"{value:.4f}" if isinstance(value, float) else str(value)


def _curves(runs: Sequence[Compared]) -> bytes:
    """A PNG file: a row of panels for each curve that some run has, once by seconds and once by images."""
    from matplotlib.figure import Figure

    known = [name for name in CURVES if any(name in record for run in runs for record in run.records)] or ["loss"]
    figure = Figure(figsize=(11, 3 * len(known) + 0.25 * len(runs)), layout="constrained")
    for row, panels in zip(known, figure.subplots(len(known), len(CLOCKS), squeeze=False), strict=True):
        for clock, axes in zip(CLOCKS, panels, strict=True):
            for run in runs:
                points = [(record[clock], record[row]) for record in run.records if row in record]
                axes.plot(*zip(*points, strict=True) if points else ((), ()), label=run.folder.name, linewidth=1)
            axes.set(xlabel=CLOCKS[clock], ylabel=CURVES[row], yscale="log" if row == "loss" else "linear")
            axes.grid(alpha=0.3)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center")
    encoded = io.BytesIO()
    figure.savefig(encoded, format="png", dpi=120)
    return encoded.getvalue()
