#!/usr/bin/env python3
"""Reconstruct, generate and interpolate with a trained model, from its checkpoint alone.

python evaler.py --dataset MNIST
python evaler.py --checkpoint train_dir/default-MNIST_lr_0.005-20260101-120000 --prefix mnist --reconstruct
python evaler.py --dataset MNIST --images photos --inpaint mask.png
"""

import sys
from pathlib import Path

from glo import config, errors
from glo.errors import UserError
from glo.settings import EvalSettings

TASKS = ("reconstruct", "generate", "interpolate")


def main(argv: list[str] | None = None) -> None:
    asked = config.resolve(EvalSettings, config.parse(EvalSettings, argv, __doc__.splitlines()[0]))
    tasks = [task for task in TASKS if getattr(asked, task)]
    if restores := asked.images is not None or asked.inpaint is not None or asked.denoise is not None:
        tasks = ["restore", *(task for task in tasks if task != "reconstruct")]
    if asked.inpaint is not None and asked.denoise is not None:
        raise UserError("--inpaint and --denoise are two ways to restore an image: give one of them")

    from datasets import folder as own
    from datasets import picture
    from glo import data, files, log, manifest, paths, results

    log.setup()
    prefix, _ = manifest.locate(asked.checkpoint or str(_newest_run(asked)))
    found = manifest.read(prefix)
    trained = found.resolved(prefix)
    sampler = trained.sampler if asked.sampler == "auto" else asked.sampler
    if asked.components and sampler != "gmm":
        raise UserError(f"--components {asked.components} is for --sampler gmm, and the sampler is {sampler}: drop one")
    name, data_dir = asked.dataset or trained.dataset, asked.data_dir or trained.data_dir
    dataset = data.load(data_dir, name, trained.test_fraction, trained.seed, trained.max_samples, asked.memory_limit)
    manifest.check_dataset(found, dataset, prefix)
    n = len(dataset.train_rows)
    for pair in asked.pairs:
        if max(map(int, pair.split(","))) >= n:
            raise UserError(f"--pairs {pair}: training images are numbered 0 to {n - 1}")
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

    from glo import device

    device.select(asked.device)
    from glo import evaluate

    this = evaluate.load(prefix, trained, dataset, asked, folder, pictures, hole)
    measured = {}
    for task in tasks or TASKS:
        result = evaluate.TASKS[task](this)
        measured |= result if task in ("reconstruct", "restore") else {task: result}
    results.write(folder, prefix, asked.seed, measured)
    log.logger.info("written to %s", folder)


def _newest_run(asked: EvalSettings) -> Path:
    from glo import paths

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
