"""Each worker reads only its own rows; samples for pictures and figures are gathered from all."""

import dataclasses
import itertools

import numpy as np
import pytest

from glo.settings import TrainSettings
from glo.training.resume import Plan
from glo.training.sample import Sample
from glo.training.state import prepare
from glo.workers import shards
from tests.support import load, samples, write_flat
from tests.workers.threads import in_all

N, COUNT = 50, 3


class Recorded:
    """An array that records which rows are read."""

    def __init__(self, array):
        self.array, self.shape, self.rows_read = array, array.shape, set()

    def __len__(self):
        return len(self.array)

    def __getitem__(self, rows):
        self.rows_read.update(np.arange(len(self.array))[rows].tolist())
        return self.array[rows]


@pytest.mark.parametrize("augment_to", [0, 2 * N])
def test_workers_read_their_own_rows_and_gather_samples(tmp_path, augment_to):
    images, codes = samples(N + 10, (8, 8, 1), 3)
    split = (np.arange(N + 10) % 6 == 0).astype(np.uint8)
    write_flat(tmp_path / "TOY", images, codes, split=split)
    settings = TrainSettings(dataset="TOY", channels=1, batch_size=7, augment_to=augment_to)
    whole = load(tmp_path, "TOY")

    def action(crew):
        dataset = dataclasses.replace(whole, images=Recorded(images), codes=Recorded(codes))
        training = prepare(settings, dataset, Plan(settings), crew)
        drawn = list(itertools.islice(training.batches(0, 20), 30))
        sample = Sample(training)
        return dataset, training, drawn, sample

    n = len(whole.train_rows)
    for index, (dataset, training, drawn, sample) in enumerate(in_all(COUNT, action)):
        own = set(whole.train_rows[shards.rows(0, n, index, COUNT)].tolist())
        assert dataset.images.rows_read == own
        assert dataset.codes.rows_read == own
        assert training.model.table.codes.shape[0] == len(own) * (1 + settings.copies(n))
        for rows, batch in drawn:
            np.testing.assert_array_equal(batch, training.images[rows])
        np.testing.assert_array_equal(sample.all_images, whole.train_images[:])
        projected = codes[whole.train_rows] / np.maximum(1, np.linalg.norm(codes[whole.train_rows], axis=1))[:, None]
        np.testing.assert_allclose(sample.all_codes, projected, rtol=1e-6)
        some = sample.order[:5]
        np.testing.assert_array_equal(sample.images(some), whole.train_images[some])


def test_a_code_that_is_not_finite_is_refused_by_its_owner(tmp_path):
    images, codes = samples(N, (8, 8, 1), 3)
    write_flat(tmp_path / "TOY", images, codes, split=np.zeros(N, np.uint8))
    settings = TrainSettings(dataset="TOY", channels=1)
    broken = codes.copy()
    broken[7, 1] = np.nan
    dataset = dataclasses.replace(load(tmp_path, "TOY"), codes=broken)
    owner = next(i for i in range(COUNT) if 7 in shards.rows(0, N, i, COUNT))

    def action(crew):
        crew.sum = lambda values: values
        prepare(settings, dataset, Plan(settings), crew)

    results = in_all(COUNT, action)
    assert "not finite" in str(results[owner])
    assert [result for result in results if result is not None] == [results[owner]]
