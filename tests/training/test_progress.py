"""PSNR during training: how many images are read for it."""

from types import SimpleNamespace

import numpy as np

from glo.data.conditions import unconditional
from glo.data.lazy_array import Rows
from glo.inference.decoder import Decoder
from glo.model.glo_model import GloModel
from glo.settings import TrainSettings
from glo.training import progress, sample
from glo.training.state import Training
from tests.support import samples


class RecordingArray:
    """An array that records which rows are read."""

    def __init__(self, array):
        self.array, self.shape, self.rows_read = array, array.shape, set()

    def __len__(self):
        return len(self.array)

    def __getitem__(self, rows):
        self.rows_read.update(np.arange(len(self.array))[rows].tolist())
        return self.array[rows]


def test_only_a_sample_of_the_training_images_is_read(monkeypatch):
    """A dataset may contain millions of images, too many for a search for the neighbors of held-out images."""
    monkeypatch.setattr(progress, "TRAIN", 3)
    monkeypatch.setattr(sample, "SAMPLED", 7)
    array, codes = samples(60, (8, 8, 1), 3)
    images, settings = RecordingArray(array), TrainSettings(channels=4)
    train_images = Rows(images, np.arange(50))
    dataset = SimpleNamespace(
        images=images, train_rows=np.arange(50), test_rows=np.arange(50, 60), conditions=unconditional(60)
    )
    model = GloModel((8, 8, 1), codes[:50], settings)
    training = Training(settings, dataset, train_images, train_images, np.arange(50), model, None)
    chosen = sample.Sample(training)
    values = progress.Progress(training, Decoder(model), chosen).measure(last=True)
    assert np.isfinite([values["train_psnr"], values["heldout_psnr"]]).all()
    assert len(chosen.order) == 7
    assert images.rows_read == {*chosen.order.tolist(), *range(50, 60)}
