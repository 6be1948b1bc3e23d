#!/usr/bin/env python3
"""Reconstruct, generate and interpolate with a trained model, from its checkpoint alone.

python evaler.py --dataset MNIST
python evaler.py --checkpoint train_dir/default-MNIST_lr_0.005-20260101-120000 --prefix mnist --reconstruct
"""

import json
import sys
from pathlib import Path

from glo import config, errors
from glo.errors import UserError
from glo.settings import EvalSettings

TASKS = ("reconstruct", "generate", "interpolate")


def main(argv: list[str] | None = None) -> None:
    asked = config.resolve(EvalSettings, config.parse(EvalSettings, argv, __doc__.splitlines()[0]))
    tasks = [task for task in TASKS if getattr(asked, task)] or list(TASKS)

    from glo import data, files, log, manifest, paths

    log.setup()
    prefix, _ = manifest.locate(asked.checkpoint or str(_newest_run(asked)))
    found = manifest.read(prefix)
    trained = found.resolved(prefix)
    name, data_dir = asked.dataset or trained.dataset, asked.data_dir or trained.data_dir
    dataset = data.load(data_dir, name, trained.test_fraction, trained.seed, trained.max_samples)
    manifest.check_dataset(found, dataset, prefix)
    folder = Path(asked.output_dir) if asked.output_dir else paths.evaluation(prefix.parent, found.step)
    _check_output(folder, asked)
    files.require_writable(folder)
    log.logger.info("evaluating %s on %s", prefix, dataset.path)

    from glo import device

    device.select(asked.device)
    from glo import evaluate

    this = evaluate.load(prefix, trained, dataset, asked, folder)
    results = {}
    for task in tasks:
        result = evaluate.TASKS[task](this)
        results |= result if task == "reconstruct" else {task: result}
    log.logger.info("written to %s", evaluate.write(this, prefix, results).parent)


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


def _check_output(folder: Path, asked: EvalSettings) -> None:
    """Files of an earlier evaluation may be replaced; anything else in a folder of the user's needs --force."""
    from glo import paths

    if asked.output_dir is None or asked.force:
        return
    try:
        if "checkpoint" in json.loads(paths.evaluation_metrics(folder).read_text(encoding="utf-8")):
            return
    except (OSError, ValueError, TypeError):
        pass
    for path in (*folder.glob(f"*_{asked.prefix}.*"), paths.evaluation_metrics(folder)):
        if path.exists():
            raise UserError(f"{path} is there already and no evaluation's: add --force, or choose another --output_dir")


if __name__ == "__main__":
    sys.exit(errors.run(main))
