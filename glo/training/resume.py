"""The settings of a run, the checkpoint that it starts from, and its number of steps. Does not import TensorFlow."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from glo.data.batches import steps_per_epoch
from glo.data.dataset import Dataset
from glo.features import weights
from glo.model import footprint, geometry
from glo.runtime import paths
from glo.runtime.errors import UserError
from glo.runtime.log import logger
from glo.settings import TrainSettings, fields, loss_expression, methods
from glo.settings.fields import Layer
from glo.training import manifest
from glo.training.manifest import Manifest

# Without --epochs, training sees this many images of `SEEN_SIDE` pixels, or fewer of larger sides, within some limits.
SEEN, SEEN_SIDE = 1_200_000, 28
LEAST_EPOCHS, MOST_EPOCHS, LEAST_STEPS = 12, 150, 4000


@dataclass(frozen=True)
class Plan:
    """How a run starts.

    settings: all settings, resolved. start, manifest: prefix and manifest of the checkpoint that training starts from;
    None if it starts from scratch. run: the run folder that is continued; None for a new run.
    """

    settings: TrainSettings
    start: Path | None = None
    manifest: Manifest | None = None
    run: Path | None = None


def plan(flags: Layer) -> Plan:
    """Resolve the settings: flags override the recipe, or the settings of the checkpoint given by --checkpoint.

    A run folder is resumed, and only settings marked `resume` may change. RUN/model-STEP starts a new run from that
    checkpoint, and all settings but the architecture may change. Raises `UserError` that names any other change.
    """
    requested = fields.resolve(TrainSettings, flags)
    if requested.checkpoint is None:
        if requested.dataset is None:
            raise UserError("--dataset is missing: give the name of a dataset, such as --dataset MNIST")
        file = Path(requested.config) if requested.config else paths.config_file(requested.dataset)
        return Plan(methods.resolve(fields.read_yaml(file), flags))
    start, resume = manifest.locate(requested.checkpoint)
    saved = manifest.read(start)
    before = saved.resolved(start)
    saved_settings = fields.stored(before)
    changes = [flags]
    if requested.config:
        changes.insert(0, fields.read_yaml(Path(requested.config)))
    given = {name for layer in changes for name in layer.values}
    if {"epochs", "minutes"} & given:
        del saved_settings["max_steps"]  # it would end the run before the new number of epochs
    if "minutes" in given and not resume:
        del saved_settings["epochs"]  # the steps of the new run are timed
    for layer in changes:
        methods.check(before.method, layer)
    settings = fields.resolve(TrainSettings, Layer(str(start), saved_settings), *methods.budgeted(*changes))
    if resume and settings.precision == "auto":  # a run keeps the precision that was chosen when it began
        settings = dataclasses.replace(settings, precision=before.precision)
    for field in dataclasses.fields(TrainSettings):
        old, new = getattr(before, field.name), getattr(settings, field.name)
        frozen = not field.metadata.get("resume") if resume else field.metadata.get("architecture")
        if field.metadata["stored"] and frozen and old != new:
            advice = f"drop --{field.name}, or start a new run" + (f" with --checkpoint {start}" if resume else "")
            if resume and field.metadata.get("architecture"):
                advice = f"drop --{field.name}, or train a new run from scratch"
            raise UserError(f"{start} was trained with {field.name} {old}, not {new}: {advice}")
    if settings.dataset.lower() != before.dataset.lower():
        raise UserError(f"{start} was trained on {before.dataset}, not {settings.dataset}: drop --dataset")
    return Plan(settings, start, saved, start.parent if resume else None)


class Length(NamedTuple):
    """Number of steps of a run.

    The first `learned` steps update the generator and codes. Steps from there to `planned` refine codes, but not those
    of altered copies. Training stops at step `end`, which may be earlier.
    """

    learned: int
    planned: int
    end: int


def length(settings: TrainSettings, dataset: Dataset) -> Length:
    """Compute the number of steps from --epochs, --refine_steps and --max_steps."""
    n, seen = len(dataset.train_rows), len(dataset.seen_rows)
    per_epoch = steps_per_epoch(seen * (1 + settings.copies(seen)), settings.batch_size)
    if settings.epochs is not None:
        learned = settings.epochs * per_epoch
    else:
        images = SEEN * min(1, SEEN_SIDE / max(dataset.image_shape[:2]))
        epochs = round(images / (seen * (1 + settings.copies(seen))))
        learned = max(min(max(epochs, LEAST_EPOCHS), MOST_EPOCHS) * per_epoch, LEAST_STEPS)
    refined = steps_per_epoch(n, settings.batch_size) if settings.refine_steps or settings.method != "glo" else 0
    end = learned + refined if settings.max_steps is None else settings.max_steps
    learned = max(learned, end - refined)
    return Length(learned, learned + refined, end)


def check(plan: Plan, dataset: Dataset, end: int, workers: int = 1) -> None:
    """Raise `UserError` for a run that is too large, a checkpoint of other data, or a run without steps left."""
    geometry.check_blocks(dataset.image_shape, plan.settings)
    if workers > len(dataset.train_rows):
        raise UserError(f"there are {workers} workers and {len(dataset.train_rows)} training images: use fewer workers")
    if workers > 1 and plan.settings.jit == "on" and plan.settings.batch_norm == "synced":
        raise UserError("--jit on cannot compile --batch_norm synced with several workers: drop one of them")
    if workers > 1 and plan.settings.method != "glo":
        raise UserError(f"--method {plan.settings.method} trains with one worker only: drop --workers")
    if workers > 1 and plan.settings.conditional:  # initial codes are made independent of it by looking at all of them
        raise UserError("--conditional trains with one worker only: drop --workers")
    if network := loss_expression.network(plan.settings.loss):
        if workers > 1:
            raise UserError("--loss perceptual trains with one worker only: drop --workers")
        weights.check_network(network)
    check_memory(
        plan.settings, dataset, gpu=True, workers=workers
    )  # without TensorFlow, whether there is a GPU is not known
    if plan.manifest is None:
        return
    manifest.check_dataset(plan.manifest, dataset, plan.start)
    if plan.manifest.step >= end:
        raise UserError(
            f"{plan.start} is at step {plan.manifest.step}, but training ends at step {end}: raise --max_steps"
        )
    old = length(plan.manifest.resolved(plan.start), dataset).planned
    new = length(plan.settings, dataset).planned
    if plan.run and plan.settings.schedule != "constant" and old != new:
        logger.warning("the schedule now covers %d steps instead of %d: learning rates change from here on", new, old)


def check_memory(settings: TrainSettings, dataset: Dataset, gpu: bool, workers: int = 1) -> None:
    """Raise `UserError` if a worker needs more than the free memory. gpu: the model is not in host memory."""
    n, condition_size = len(dataset.train_rows), dataset.conditions.shape[1]
    parts = footprint.training(settings, dataset.image_shape, dataset.dimension, n, condition_size, workers)
    footprint.require(parts, "training", gpu)
