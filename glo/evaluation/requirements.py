"""Checks that a run and its dataset suit the requested tasks. They do not import TensorFlow."""

from collections.abc import Collection
from pathlib import Path

import numpy as np

from glo.data import labels
from glo.data.dataset import Dataset
from glo.data.labels import ImageClass
from glo.features import weights
from glo.inference import projector
from glo.model import footprint
from glo.runtime import files
from glo.runtime.errors import UserError
from glo.settings import EXTRACTORS, MIXTURES, EvalSettings, TrainSettings
from glo.training import manifest

# Tasks that fit codes.
FITTING = {
    "reconstruct",
    "restore",
    "encode",
    "attributes",
    "directions",
    "metrics",
    "projector",
    "neighbors",
    "rivals",
}
MIN_IMAGES = 10  # of each split; metrics of fewer images are meaningless
PROJECTED = 10_000  # training images of --projector, at most


def check_sampler(settings: EvalSettings, trained: TrainSettings) -> None:
    """Raise `UserError` for options that have no effect with the sampler."""
    sampler = settings.sampler_of(trained)
    if settings.components and sampler not in ("auto", *MIXTURES):
        raise UserError(
            f"--components {settings.components} needs --sampler gmm or leading, but the sampler is {sampler}: change "
            "one of them"
        )
    if sampler == "unit" and trained.conditional is None and (settings.label is not None or settings.per_class):
        raise UserError("the sampler unit is the same for all classes: choose another, such as --sampler gaussian")


def check_encoder(settings: EvalSettings, trained: TrainSettings, prefix: Path) -> None:
    """Raise `UserError` if the settings need the encoder of a checkpoint and there is none."""
    if settings.encode or settings.start in ("encoder", "both"):
        manifest.require_encoder(prefix, trained)


def check_content(settings: EvalSettings, pictures: tuple[np.ndarray, list[str]] | None) -> None:
    """Raise `UserError` for pictures, uint8 [n, H, W, C] with their names, that cannot be encoded or edited."""
    if not (settings.encode or settings.attributes) or pictures is None:
        return
    for image, name in zip(*pictures, strict=True):
        if (image == image[0, 0]).all():
            raise UserError(f"{name} shows nothing: all its pixels have the same colour; remove it from --images")


def check_condition(settings: EvalSettings, trained: TrainSettings) -> None:
    """Raise `UserError` for a sweep over classes if the run has no condition."""
    if settings.class_sweep and trained.conditional is None:
        raise UserError("--class_sweep needs a conditional model: type python trainer.py --dataset NAME --conditional")


def check_dataset(settings: EvalSettings, dataset: Dataset) -> ImageClass | None:
    """Raise `UserError` if the dataset lacks something that a task needs.

    Returns the class that --label names, or None without --label.
    """
    n = len(dataset.train_rows)
    for pair in settings.pairs:
        if max(map(int, pair.split(","))) >= n:
            raise UserError(f"--pairs {pair}: training images are numbered 0 to {n - 1}")
    if settings.analogy_rows and max(settings.analogy_rows) >= n:
        raise UserError(f"--analogy {','.join(settings.analogy)}: training images are numbered 0 to {n - 1}")
    if settings.extractor == "classifier" and dataset.classes < 2:
        raise UserError(
            f"--extractor classifier: {dataset.path} has no labels of two classes to train it on: use --extractor "
            "contrastive, or drop --extractor"
        )
    if settings.metrics or settings.rivals:
        _check_metrics(settings, dataset)
    if settings.per_class:
        labels.every(dataset)
    if settings.projector or settings.neighbors or settings.explore:
        _check_points(settings, dataset)
    if settings.attributes:
        for name in settings.attribute_names:
            labels.contrast(dataset, name, "--attributes")
        if settings.images is None and not len(dataset.test_rows):
            raise UserError(f"--attributes: {dataset.path} has no held-out images: name a folder with --images DIR")
    if settings.directions:
        labels.contrasts(dataset, "--directions")
        if not len(dataset.test_rows):
            raise UserError(f"--directions: {dataset.path} has no held-out images, on which directions are measured")
    restores = settings.inpaint is not None or settings.denoise is not None
    if restores and settings.images is None and not len(dataset.test_rows):
        raise UserError(f"{dataset.path} has no held-out images: name a folder of pictures with --images DIR")
    if settings.encode and not len(dataset.test_rows):
        raise UserError(f"--encode: {dataset.path} has no held-out images, with which images are compared")
    return None if settings.label is None else labels.find(dataset, settings.label)


def check_memory(
    settings: EvalSettings, trained: TrainSettings, dataset: Dataset, tasks: Collection[str], pictures: int, gpu: bool
) -> None:
    """Raise `UserError` if the tasks need more than the free memory.

    pictures: number of images of --images. gpu: the model is not in host memory.
    """
    fitted = (
        max(pictures, min(settings.most_fitted(dataset.image_shape), len(dataset.test_rows)))
        if FITTING & set(tasks)
        else 0
    )
    n, candidates = len(dataset.train_rows), len(dataset.train_conditions.candidates()) if pictures else 1
    shape, dimension = dataset.image_shape, dataset.dimension
    parts = footprint.evaluation(settings, trained, shape, dimension, n, fitted, tasks, candidates)
    footprint.require(parts, "this evaluation", gpu)


def check_projector(settings: EvalSettings, run: Path) -> None:
    """Raise `UserError` if --projector may not write to its folder."""
    if settings.projector:
        folder = settings.projector_folder(run)
        projector.require_free(folder, settings.force)
        files.require_writable(folder)


def _check_points(settings: EvalSettings, dataset: Dataset) -> None:
    flag = next(f"--{task}" for task in ("projector", "neighbors", "explore") if settings.requests(task))
    training = len(dataset.train_rows)
    held_out = min(settings.most_fitted(dataset.image_shape), len(dataset.test_rows))
    if training < 2:
        raise UserError(f"{flag} needs 2 training images or more, {dataset.path} has {training}")
    if settings.projector and dataset.dimension < 2:
        raise UserError(f"TensorBoard's projector shows no codes of 1 dimension, which {dataset.path} has: drop {flag}")
    n = min(PROJECTED, training) + held_out + settings.num_samples
    if settings.projector and n > projector.MAX_POINTS:
        raise UserError(
            f"TensorBoard's projector shows at most {projector.MAX_POINTS} points, not {n}: lower --num_samples or "
            "--num_fit"
        )


def _check_metrics(settings: EvalSettings, dataset: Dataset) -> None:
    train, held_out = len(dataset.train_rows), len(dataset.test_rows)
    flag = "--metrics" if settings.metrics else "--rivals"
    if min(train, held_out) < MIN_IMAGES:
        raise UserError(
            f"{flag} needs {MIN_IMAGES} training images and {MIN_IMAGES} held-out images; {dataset.path} has "
            f"{train} and {held_out}"
        )
    if settings.extractor not in ("auto", *EXTRACTORS):
        weights.verify(Path(settings.extractor), settings.extractor_sha256, "--extractor", "--extractor_sha256")
