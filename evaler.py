#!/usr/bin/env python3
"""Reconstruct, generate, interpolate with and measure a trained model, from its checkpoint alone; compare runs.

python evaler.py --dataset MNIST
python evaler.py --checkpoint train_dir/default-MNIST_lr_0.005-20260101-120000 --prefix mnist --reconstruct
python evaler.py --dataset MNIST --metrics
python evaler.py --compare train_dir
python evaler.py --dataset MNIST --images photos --inpaint mask.png
python evaler.py --dataset MNIST --generate --label 3
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from glo.runtime import errors
from glo.runtime.errors import UserError
from glo.settings import EXTRACTORS, EvalSettings, fields

if TYPE_CHECKING:
    from glo.data.dataset import Dataset

TASKS = ("reconstruct", "generate", "interpolate")  # those that are done if none is named
MORE_TASKS = ("per_class", "metrics")
LEAST_IMAGES = 10  # of either split, below which none of --metrics means anything


def main(argv: list[str] | None = None) -> None:
    asked = fields.resolve(EvalSettings, fields.parse(EvalSettings, argv, __doc__.splitlines()[0]))
    if asked.compare:
        return _compare(asked)
    if asked.label is not None:
        _check_label(asked)
    tasks = [task for task in TASKS + MORE_TASKS if getattr(asked, task) or (task == "generate" and asked.label)]
    if restores := asked.images is not None or asked.inpaint is not None or asked.denoise is not None:
        tasks = ["restore", *(task for task in tasks if task != "reconstruct")]
    if asked.inpaint is not None and asked.denoise is not None:
        raise UserError("--inpaint and --denoise are two ways to restore an image: give one of them")

    from datasets import folder as own
    from datasets import picture
    from glo.data import labels
    from glo.data.dataset import load_dataset
    from glo.evaluation import results
    from glo.runtime import files, log, paths
    from glo.training import manifest

    log.setup()
    prefix, _ = manifest.locate(asked.checkpoint or str(_newest_run(asked)))
    found = manifest.read(prefix)
    trained = found.resolved(prefix)
    sampler = trained.sampler if asked.sampler == "auto" else asked.sampler
    if asked.components and sampler != "gmm":
        raise UserError(f"--components {asked.components} is for --sampler gmm, and the sampler is {sampler}: drop one")
    if sampler == "unit" and (asked.label is not None or asked.per_class):
        raise UserError("the sampler unit is the same for every class: choose another, such as --sampler gaussian")
    name, data_dir = asked.dataset or trained.dataset, asked.data_dir or trained.data_dir
    dataset = load_dataset(
        data_dir,
        name,
        trained.test_fraction,
        trained.seed,
        trained.max_samples,
        asked.memory_limit,
        trained.dimension,
    )
    manifest.check_dataset(found, dataset, prefix)
    n = len(dataset.train_rows)
    for pair in asked.pairs:
        if max(map(int, pair.split(","))) >= n:
            raise UserError(f"--pairs {pair}: training images are numbered 0 to {n - 1}")
    if "metrics" in tasks:
        _check_metrics(asked, dataset)
    image_class = None if asked.label is None else labels.find(dataset, asked.label)
    if asked.per_class:
        labels.every(dataset)
    if restores and asked.images is None and not len(dataset.test_rows):
        raise UserError(f"{dataset.path} holds no held-out images: name a folder of pictures with --images DIR")
    height, width, channels = dataset.image_shape
    pictures = None if asked.images is None else own.read(Path(asked.images), (height, width), channels)
    hole = None if asked.inpaint is None else picture.read_hole(Path(asked.inpaint), (height, width))
    folder = Path(asked.output_dir) if asked.output_dir else paths.evaluation(prefix.parent, found.step)
    if asked.output_dir and not asked.force:
        results.require_free(folder, asked.prefix)
    files.require_writable(folder)
    log.logger.info("evaluating %s on %s", prefix, dataset.path)

    from glo.runtime import device

    device.select(asked.device)
    from glo.evaluation import measure, session

    this = session.load(prefix, trained, dataset, asked, folder, pictures, hole, image_class)
    measured = {}
    for task in tasks or TASKS:
        result = session.TASKS[task](this)
        measured |= result if task in ("reconstruct", "restore") else {task: result}
    results.write(folder, prefix, asked.seed, measured)
    if "metrics" in tasks:
        print(measure.table(measured["metrics"]))
    log.logger.info("written to %s", folder)


def _compare(asked: EvalSettings) -> None:
    from glo.evaluation import compare
    from glo.runtime import log

    if asked.checkpoint or any(getattr(asked, task) for task in TASKS + MORE_TASKS):
        raise UserError("--compare reads what was measured before: drop --checkpoint and the tasks")
    log.setup()
    runs = compare.read(asked.compare)
    written = compare.write(runs, Path(asked.output_dir or asked.train_dir), asked.prefix, asked.force)
    print(compare.table(runs))
    log.logger.info("written to %s and %s", *written)


def _check_label(asked: EvalSettings) -> None:
    """Raise `UserError` for what --label cannot be given with."""
    if asked.per_class:
        raise UserError("--label is of one class and --per_class of all: drop one")
    if asked.metrics:
        raise UserError("--label generates one class, and --metrics compares with images of all classes: drop one")


def _check_metrics(asked: EvalSettings, dataset: "Dataset") -> None:
    """Raise `UserError` for what --metrics cannot be taken of, or with."""
    from glo.features import weights

    least = min(len(dataset.train_rows), len(dataset.test_rows))
    if least < LEAST_IMAGES:
        raise UserError(f"--metrics needs {LEAST_IMAGES} training and held-out images, {dataset.path} has {least}")
    if asked.extractor not in EXTRACTORS:
        weights.verify(Path(asked.extractor), asked.extractor_sha256)
    elif asked.extractor == "classifier" and dataset.labels is None:
        raise UserError(
            f"{dataset.path} has no labels to train a classifier on: name another extractor, "
            "such as --extractor InceptionV3"
        )


def _newest_run(asked: EvalSettings) -> Path:
    from glo.runtime import paths

    if asked.dataset is None:
        raise UserError("give --checkpoint, or --dataset to evaluate its newest run")
    for run in paths.runs(asked.train_dir, asked.dataset):
        if paths.steps(run):
            return run
    raise UserError(
        f"no run of {asked.dataset} with a checkpoint in {asked.train_dir}: "
        f"type python trainer.py --dataset {asked.dataset}, or give --checkpoint"
    )


if __name__ == "__main__":
    sys.exit(errors.run(main))
