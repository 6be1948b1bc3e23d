"""What one process computes from the batches of several workers."""

import contextlib

import numpy as np

from glo.data.batches import Share, batches
from glo.data.lazy_array import Rows
from glo.model.codes import unset
from glo.model.glo_model import GloModel
from glo.model.losses import build as build_loss
from glo.training import checkpoint, manifest
from glo.training.resume import length
from glo.training.step import make_refinement, make_step
from glo.workers import shards
from tests.support import load


def restored(prefix):
    """The model of a checkpoint of any number of workers."""
    saved = manifest.read(prefix)
    settings, n = saved.resolved(prefix), saved.training_images
    model = GloModel(saved.image_shape, unset(n * (1 + settings.copies(n)), saved.dimension), settings)
    checkpoint.restore(model, prefix, saved)
    return model


def trained(data_dir, prefix, workers, steps=None):
    """Train one process on the batches of the workers that wrote a checkpoint, up to its step or for `steps` steps."""
    saved = manifest.read(prefix)
    settings, end = saved.resolved(prefix), saved.step if steps is None else steps
    dataset = load(data_dir, settings.dataset)
    images, learned = dataset.train_images[:], length(settings, dataset).learned
    model = GloModel(saved.image_shape, dataset.train_codes[:], settings)
    for step, count in (
        (make_step(model, build_loss(settings.loss), settings, learned), min(end, learned)),
        (make_refinement(model, build_loss(settings.loss), settings), max(0, end - learned)),
    ):
        for rows in whole_batches(dataset, settings, workers, count):
            step(rows, images[rows])
    return model


def whole_batches(dataset, settings, workers, steps):
    """Yield the rows int64 [B] of the batches of all workers together, for the first steps."""
    n = len(dataset.train_rows)
    with contextlib.ExitStack() as stack:
        parts = []
        for index in range(workers):
            rows = shards.rows(settings.seed, n, index, workers)
            own = batches(
                Rows(dataset.images, dataset.train_rows[rows]), settings.batch_size, settings.seed, 0,
                Share(n, 1, index, workers),
            )  # fmt: skip
            parts.append((rows, stack.enter_context(contextlib.closing(own))))
        for _ in range(steps):
            yield np.concatenate([rows[next(own)[0]] for rows, own in parts])


def differences(a, b):
    """The largest differences of two models, by the names of variables in a checkpoint."""
    a, b = checkpoint.variables(a), checkpoint.variables(b)
    assert a.keys() == b.keys()
    return {name: float(np.abs(a[name].numpy().astype(np.float64) - b[name].numpy()).max()) for name in a}
