#!/usr/bin/env python3
"""Reconstruct, generate and interpolate with a trained model, from its checkpoint alone.

python evaler.py --dataset MNIST
python evaler.py --checkpoint train_dir/default-MNIST_lr_0.005-20260101-120000 --prefix mnist --reconstruct
"""

import sys
from pathlib import Path

from glo import config, errors
from glo.errors import UserError
from glo.settings import EvalSettings

TASKS = ("reconstruct", "generate", "interpolate")  # those that are done if none is named
MORE_TASKS = ("metrics",)


def main(argv: list[str] | None = None) -> None:
    asked = config.resolve(EvalSettings, config.parse(EvalSettings, argv, __doc__.splitlines()[0]))
    tasks = [task for task in TASKS + MORE_TASKS if getattr(asked, task)] or list(TASKS)

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
    folder = Path(asked.output_dir) if asked.output_dir else paths.evaluation(prefix.parent, found.step)
    if asked.output_dir and not asked.force:
        results.require_free(folder, asked.prefix)
    files.require_writable(folder)
    log.logger.info("evaluating %s on %s", prefix, dataset.path)

    from glo import device

    device.select(asked.device)
    from glo import evaluate, quality

    this = evaluate.load(prefix, trained, dataset, asked, folder)
    measured = {}
    for task in tasks:
        result = evaluate.TASKS[task](this)
        measured |= result if task == "reconstruct" else {task: result}
    results.write(folder, prefix, asked.seed, measured)
    if "metrics" in tasks:
        print(quality.table(measured["metrics"]))
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
