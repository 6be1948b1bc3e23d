#!/usr/bin/env python3
"""Evaluate a trained model: reconstruct, generate and interpolate images, measure metrics, and compare runs.

python evaler.py --dataset MNIST
python evaler.py --checkpoint train_dir/default-MNIST_lr_0.005-20260101-120000 --prefix mnist --reconstruct
python evaler.py --dataset MNIST --metrics
python evaler.py --compare train_dir
python evaler.py --dataset MNIST --rivals
python evaler.py --compare train_dir --table rivals
python evaler.py --dataset MNIST --images photos --inpaint mask.png
python evaler.py --dataset MNIST --generate --label 3
python evaler.py --dataset MNIST --encode --images photos
python evaler.py --dataset MNIST --analogy 3,17,42
python evaler.py --dataset MNIST --interpolate --path graph
python evaler.py --dataset CELEBA --attributes Smiling,Eyeglasses --strengths -2,-1,0,1,2
python evaler.py --dataset CELEBA --directions
python evaler.py --dataset MNIST --explore
"""

import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from glo.runtime import errors, terminal

if TYPE_CHECKING:
    from glo.settings import EvalSettings


def main(argv: list[str] | None = None) -> None:
    from glo.settings import EvalSettings, fields

    settings = fields.resolve(EvalSettings, fields.parse(EvalSettings, argv, __doc__.splitlines()[0]))
    settings.check()

    from datasets import folder as picture_folder
    from datasets import picture, tensorflow_js
    from glo.data import code_file
    from glo.data.dataset import load_dataset
    from glo.evaluation import registry, requirements, results
    from glo.runtime import files, log, paths
    from glo.training import manifest

    log.setup()
    if settings.compare:
        return compare(settings)
    prefix, _ = manifest.locate(settings.checkpoint or str(manifest.newest_run(settings.train_dir, settings.dataset)))
    saved = manifest.read(prefix)
    trained = saved.resolved(prefix)
    requirements.check_sampler(settings, trained)
    requirements.check_encoder(settings, trained, prefix)
    requirements.check_condition(settings, trained)
    location = {"dataset": settings.dataset or trained.dataset, "data_dir": settings.data_dir or trained.data_dir}
    dataset = load_dataset(dataclasses.replace(trained, **location, memory_limit=settings.memory_limit))
    manifest.check_dataset(saved, dataset, prefix)
    image_class = requirements.check_dataset(settings, dataset)
    size, channels = dataset.image_shape[:2], dataset.image_shape[2]
    pictures = None if settings.images is None else picture_folder.read(Path(settings.images), size, channels)
    requirements.check_content(settings, pictures)
    tasks, given = registry.requested(settings), len(pictures[0]) if pictures else 0
    requirements.check_memory(settings, trained, dataset, tasks, given, gpu=True)
    hole = None if settings.inpaint is None else picture.read_hole(Path(settings.inpaint), size)
    named = settings.analogy_pictures
    analogy = picture.read_all(named, size, channels) if named else None
    codes = None
    if settings.decode:
        codes = code_file.read(Path(settings.decode), dataset.dimension, len(saved.conditions().names))
    page_library = tensorflow_js.read(settings.tfjs) if settings.explore else None
    folder = Path(settings.output_dir) if settings.output_dir else paths.evaluation(prefix.parent, saved.step)
    if settings.output_dir and not settings.force:
        results.require_free(folder, settings.prefix)
    files.require_writable(folder)
    requirements.check_projector(settings, prefix.parent)
    log.logger.info("evaluating %s on %s", prefix, dataset.path)

    from glo.runtime import device

    device.select(settings.device)
    requirements.check_memory(settings, trained, dataset, tasks, given, device.on_gpu())
    from glo.evaluation.session import Session
    from glo.run import Run

    run = Run(prefix, saved, dataset, settings.batch_size)
    session = Session(run, dataset, settings, folder, pictures, hole, image_class, analogy, codes, page_library)
    measured = {}
    for task in tasks.values():
        measured |= task.run(session)
    results.write(folder, prefix, settings.seed, measured)
    if "metrics" in measured:
        from glo.evaluation import measure

        terminal.show(measure.table(measured["metrics"]))
    if "directions" in measured:
        from glo.evaluation import directions

        terminal.show(directions.table(measured["directions"]))
    log.logger.info("written to %s", folder)


def compare(settings: "EvalSettings") -> None:
    """Write and print a table of runs, with the metrics that earlier evaluations measured."""
    from glo.evaluation import compare, rival_table
    from glo.runtime.log import logger

    runs = compare.read(settings.compare)
    written = compare.write(runs, Path(settings.output_dir or settings.train_dir), settings.prefix, settings.force)
    terminal.show(rival_table.table(runs) if settings.table == "rivals" else compare.table(runs))
    logger.info("written to %s and %s", *written)


if __name__ == "__main__":
    sys.exit(errors.run(main))
