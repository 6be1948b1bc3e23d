"""What one process computes from the batches of several workers."""

import contextlib

import numpy as np

from glo.data.batches import Share, batches
from glo.data.lazy_array import Rows
from glo.model.glo_model import GloModel
from glo.training import checkpoint, manifest
from glo.training.resume import length
from glo.training.step import make_refinement, make_step
from glo.workers import shards
from tests.support import load


def restored(prefix, rows=None):
    """The model of a checkpoint of any number of workers."""
    saved = manifest.read(prefix)
    settings = saved.resolved(prefix)
    n = saved.training_images
    codes = np.zeros((n * (1 + settings.copies(n)), saved.dimension), np.float32)
    model = GloModel(saved.image_shape, codes, settings)
    checkpoint.restore(model, prefix, saved)
    return model


def whole_batches(dataset, settings, workers, phase_rows, steps):
    """Yield the rows of the batches of all workers together, int64 [B], of images without copies."""
    n = len(dataset.train_rows)
    with contextlib.ExitStack() as stack:
        parts = []
        for index in range(workers):
            rows = shards.rows(settings.seed, n, index, workers)
            images = Rows(dataset.images, dataset.train_rows[rows])
            share = Share(n, 1, index, workers)
            own = batches(images, settings.batch_size, settings.seed, 0, share)
            parts.append((rows, stack.enter_context(contextlib.closing(own))))
        for _ in range(steps):
            yield np.concatenate([rows[next(own)[0]] for rows, own in parts])


def trained(data_dir, prefix, workers):
    """Train one process on the batches of the workers that wrote the checkpoint, without refinement or copies."""
    saved = manifest.read(prefix)
    settings = saved.resolved(prefix)
    dataset = load(data_dir, settings.dataset)
    images = dataset.train_images[:]
    model = GloModel(saved.image_shape, dataset.train_codes[:], settings)
    planned = length(settings, dataset)
    learn, refine = make_step(model, settings, planned.learned), make_refinement(model, settings)
    for rows in whole_batches(dataset, settings, workers, None, min(saved.step, planned.learned)):
        learn(rows, images[rows])
    for rows in whole_batches(dataset, settings, workers, None, max(0, saved.step - planned.learned)):
        refine(rows, images[rows])
    return model


def largest_difference(a, b):
    """Of two models, by the names of variables in a checkpoint."""
    a, b = checkpoint.variables(a), checkpoint.variables(b)
    assert a.keys() == b.keys()
    return {name: float(np.abs(a[name].numpy().astype(np.float64) - b[name].numpy()).max()) for name in a}
