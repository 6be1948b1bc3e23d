#!/usr/bin/env python3
"""Train a generator and one code per image on a dataset that download.py built, or on your own.

python trainer.py --dataset MNIST
python trainer.py --checkpoint train_dir/default-MNIST_lr_0.005-20260101-120000
"""

import sys

from glo.runtime import errors, terminal
from glo.settings import TrainSettings, fields


def main(argv: list[str] | None = None) -> int:
    flags = fields.parse(TrainSettings, argv, __doc__.splitlines()[0])
    fields.resolve(TrainSettings, flags)  # raises for invalid flags before anything slow is imported

    from glo.data.dataset import load_dataset
    from glo.runtime import files, log, paths
    from glo.training import resume

    log.setup()
    plan = resume.plan(flags)
    settings = plan.settings
    dataset = load_dataset(settings)
    log.logger.info("%s", dataset)
    length = resume.length(settings, dataset)
    resume.check(plan, dataset, length.end)

    from glo.runtime import device

    device.select(settings.device)
    resume.check_memory(settings, dataset, device.on_gpu())
    if settings.dry_run:
        from glo.training import summary

        terminal.show(summary.describe(settings, dataset, length))
        return 0
    from glo.model import precision
    from glo.training import loop
    from glo.training.state import prepare

    settings = precision.decide(
        settings, dataset.image_shape, dataset.dimension, len(dataset.train_rows), dataset.conditions.shape[1]
    )
    log.logger.info("building the model ...")
    training = prepare(settings, dataset, plan)
    run = plan.run or paths.new_run_folder(
        settings.train_dir, settings.prefix, settings.dataset, settings.learning_rate
    )
    log.to_file(paths.log(run))
    files.write_text(paths.config(run), fields.write_yaml(settings))
    log.logger.info("%s: %d steps, %s", run, length.end, f"from {plan.start}" if plan.start else "from scratch")
    return loop.train(run, training, length)


if __name__ == "__main__":
    sys.exit(errors.run(main))
