"""Which settings a run has, which checkpoint it starts from, and how many steps it takes; all before TensorFlow."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from glo.data.batches import steps_per_epoch
from glo.data.dataset import Dataset
from glo.model import footprint, geometry
from glo.runtime import paths
from glo.runtime.errors import UserError
from glo.runtime.log import logger
from glo.settings import TrainSettings, fields
from glo.settings.fields import Layer
from glo.training import manifest
from glo.training.manifest import Manifest

# Without --epochs, each code gets this many visits, and small datasets at least this many steps.
DEFAULT_EPOCHS, DEFAULT_STEPS = 30, 4000


@dataclass(frozen=True)
class Plan:
    """settings: resolved. start: the prefix of the checkpoint to start from, with its manifest; None from scratch.
    run: the folder to go on in; None for a new run."""

    settings: TrainSettings
    start: Path | None = None
    manifest: Manifest | None = None
    run: Path | None = None


def plan(typed: Layer) -> Plan:
    """Lay the typed flags over the recipe's file, or over the settings of the checkpoint they name.

    A run folder is resumed: only settings marked `resume` may change. RUN/model-STEP starts a new run from that state:
    everything but the architecture may change. Raises `UserError` for anything else, naming the difference.
    """
    requested = fields.resolve(TrainSettings, typed)
    if requested.checkpoint is None:
        if requested.dataset is None:
            raise UserError("--dataset is missing: give the name of a dataset, such as --dataset MNIST")
        file = Path(requested.config) if requested.config else paths.config_file(requested.dataset)
        return Plan(fields.resolve(TrainSettings, fields.read_yaml(file), typed))
    start, resume = manifest.locate(requested.checkpoint)
    saved = manifest.read(start)
    before = saved.resolved(start)
    carried = fields.stored(before)
    if "epochs" in typed.values:
        del carried["max_steps"]  # a new planned length ends where it says, not where the earlier run was cut
    layers = [Layer(str(start), carried)]
    if requested.config:
        layers.append(fields.read_yaml(Path(requested.config)))
    settings = fields.resolve(TrainSettings, *layers, typed)
    if resume and settings.precision == "auto":  # the choice was made when the run began
        settings = dataclasses.replace(settings, precision=before.precision)
    for field in dataclasses.fields(TrainSettings):
        old, new = getattr(before, field.name), getattr(settings, field.name)
        frozen = not field.metadata.get("resume") if resume else field.metadata.get("architecture")
        if field.metadata["stored"] and frozen and old != new:
            way_out = f"drop --{field.name}, or start a new run" + (f" with --checkpoint {start}" if resume else "")
            if resume and field.metadata.get("architecture"):
                way_out = f"drop --{field.name}, or train a new run from scratch"
            raise UserError(f"{start} was trained with {field.name} {old}, not {new}: {way_out}")
    if settings.dataset.lower() != before.dataset.lower():
        raise UserError(f"{start} was trained on {before.dataset}, not {settings.dataset}: drop --dataset")
    return Plan(settings, start, saved, start.parent if resume else None)


class Length(NamedTuple):
    """Steps of a run: `learned` move generator and codes, from there to `planned` only codes, and it stops at `end`.

    Altered copies of images are learned from, but their codes are not refined.
    """

    learned: int
    planned: int
    end: int


def length(settings: TrainSettings, dataset: Dataset) -> Length:
    """How many steps a run takes."""
    n = len(dataset.train_rows)
    per_epoch = steps_per_epoch(n * (1 + settings.copies(n)), settings.batch_size)
    if settings.epochs is not None:
        learned = settings.epochs * per_epoch
    else:
        learned = max(DEFAULT_EPOCHS * per_epoch, DEFAULT_STEPS)
    refined = steps_per_epoch(n, settings.batch_size) if settings.refine_steps else 0
    end = learned + refined if settings.max_steps is None else settings.max_steps
    learned = max(learned, end - refined)
    return Length(learned, learned + refined, end)


def check(plan: Plan, dataset: Dataset, end: int) -> None:
    """Refuse what is too large, other data than the checkpoint's, and a run with nothing left to do."""
    geometry.check_blocks(dataset.image_shape, plan.settings)
    check_memory(plan.settings, dataset, gpu=True)  # without TensorFlow, whether there is a GPU is not known
    if plan.manifest is None:
        return
    manifest.check_dataset(plan.manifest, dataset, plan.start)
    if plan.manifest.step >= end:
        raise UserError(
            f"{plan.start} has taken {plan.manifest.step} steps already, of {end} in all: raise --max_steps"
        )
    old = length(plan.manifest.resolved(plan.start), dataset).planned
    new = length(plan.settings, dataset).planned
    if plan.run and plan.settings.schedule != "constant" and old != new:
        logger.warning("the schedule now runs over %d steps, not %d: the rates differ from here on", new, old)


def check_memory(settings: TrainSettings, dataset: Dataset, gpu: bool) -> None:
    """Raise `UserError` if training needs more than the free memory. gpu: the model is not in host memory."""
    parts = footprint.training(settings, dataset.image_shape, dataset.dimension, len(dataset.train_rows))
    footprint.require(parts, "training", gpu)
