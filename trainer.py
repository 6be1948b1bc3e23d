#!/usr/bin/env python3
"""Train a generator and one code per image on a dataset that download.py built, or on your own.

python trainer.py --dataset MNIST
python trainer.py --checkpoint train_dir/default-MNIST_lr_0.005-20260101-120000
python trainer.py --checkpoint train_dir/default-MNIST_lr_0.005-20260101-120000 --encoder
python trainer.py --dataset CELEBA --workers 4
python trainer.py --dataset MNIST --method vae --minutes 5
"""

import contextlib
import sys
from typing import TYPE_CHECKING

from glo.runtime import errors, terminal

if TYPE_CHECKING:
    from glo.settings import TrainSettings
    from glo.settings.fields import Layer
    from glo.workers.crew import Crew

ENCODER_FLAGS = {"encoder", "checkpoint", "data_dir", "max_steps", "device", "memory_limit"}


def main(argv: list[str] | None = None) -> int:
    from glo.settings import TrainSettings, fields

    flags = fields.parse(TrainSettings, argv, __doc__.splitlines()[0])
    requested = fields.resolve(TrainSettings, flags)  # raises for invalid flags before anything slow is imported

    from glo.runtime import log
    from glo.training import run_folder
    from glo.workers import cluster, crew, launcher

    one_process = requested.dry_run or requested.encoder
    workers = None if one_process else cluster.find(requested.workers)
    if workers is None and not one_process and (requested.workers or 1) > 1:
        return launcher.run(sys.argv if argv is None else [__file__, *argv], requested.workers)
    log.setup()
    with crew.joined(workers, requested.worker_timeout) as joined, run_folder.resumed(requested, joined):
        return train_encoder(requested, set(flags.values)) if requested.encoder else train(flags, joined)


def train(flags: "Layer", crew: "Crew") -> int:
    """Train a new run, or continue the one that --checkpoint names, as one of the workers. Returns the exit code."""
    from glo.data.dataset import load_dataset
    from glo.runtime import files, log, paths
    from glo.settings import fields
    from glo.training import resume, run_folder

    plan = resume.plan(flags)
    settings = plan.settings
    dataset = load_dataset(settings, rows_only=crew.count > 1)
    log.logger.info("%s", dataset)
    length = resume.length(settings, dataset)
    resume.check(plan, dataset, length.end, crew.count)
    run_folder.require_agreement(crew, plan, dataset)

    from glo.runtime import device

    device.select(settings.device, crew.local_index)
    resume.check_memory(settings, dataset, device.on_gpu(), crew.count)
    if settings.dry_run:
        from glo.training import summary

        terminal.show(summary.describe(settings, dataset, length))
        return 0
    from glo.model import geometry, precision
    from glo.training import budget, loop
    from glo.training.state import prepare

    crew.connect()
    sizes = dataset.dimension, len(dataset.train_rows), dataset.conditions.shape[1]
    settings = precision.decide(settings, dataset.image_shape, *sizes, crew.decide)
    log.logger.info("building the model ...")
    if settings.minutes and settings.epochs is None:
        settings = budget.decide(settings, lambda sized: prepare(sized, dataset, plan, crew), length)
        length = resume.length(settings, dataset)
    if plan.start is None and settings.method != "pca":  # whose generator is linear
        settings = geometry.resolved(dataset.image_shape, settings)
    training = prepare(settings, dataset, plan, crew)
    with contextlib.nullcontext(plan.run) if plan.run else run_folder.created(settings, crew) as run:
        if crew.first:
            log.to_file(paths.log(run))
            files.write_text(paths.config(run), fields.write_yaml(settings))
        crew.advice = f"; continue with: python trainer.py --checkpoint {run} --workers {crew.count}"
        log.logger.info("%s: %d steps, %s", run, length.end, f"from {plan.start}" if plan.start else "from scratch")
        return loop.train(run, training, length)


def train_encoder(settings: "TrainSettings", given: set[str]) -> int:
    """Train the encoder of the checkpoint of --checkpoint. given: names of the flags on the command line."""
    import dataclasses

    from glo.data.dataset import load_dataset
    from glo.model import footprint
    from glo.runtime import device, files, log, paths
    from glo.training import manifest

    if settings.checkpoint is None:
        raise errors.UserError("--encoder needs a finished run: give its folder with --checkpoint")
    if excess := sorted(given - ENCODER_FLAGS):
        raise errors.UserError(
            f"--{excess[0]} has no effect with --encoder, which uses the settings of the run: drop it"
        )
    prefix, _ = manifest.locate(settings.checkpoint)
    saved = manifest.read(prefix)
    trained = saved.resolved(prefix)
    if trained.has_encoder:
        raise errors.UserError(f"{prefix} has an encoder, which --method {trained.method} has trained: drop --encoder")
    location = {name: getattr(settings, name) for name in ("data_dir", "memory_limit") if name in given}
    dataset = load_dataset(dataclasses.replace(trained, **location))
    manifest.check_dataset(saved, dataset, prefix)
    files.require_writable(prefix.parent)
    sizes = dataset.dimension, len(dataset.train_rows), dataset.conditions.shape[1]
    parts = footprint.encoder(trained, dataset.image_shape, *sizes)
    footprint.require(parts, "the encoder", gpu=True)  # without TensorFlow, whether there is a GPU is not known
    device.select(settings.device)
    footprint.require(parts, "the encoder", device.on_gpu())
    from glo.training import encoder

    log.to_file(paths.log(prefix.parent))
    return encoder.train(prefix, saved, dataset, settings.max_steps)


if __name__ == "__main__":
    sys.exit(errors.run(main))
