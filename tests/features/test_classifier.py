"""The classifier: it learns, is reproducible, and its accuracy is that of held-out images."""

import dataclasses

import numpy as np
import pytest

from glo.features import trained
from glo.features.classifier import Classifier
from tests.support import load, write_flat

LABELS = np.array([-4, 0, 70000])  # labels may be any integers


@pytest.fixture
def dataset(tmp_path):
    """Images of 9 by 8 pixels: noise with one bright row, whose position is the class."""
    random = np.random.default_rng(0)
    images = random.integers(0, 100, (120, 9, 8, 1), np.uint8)
    classes = np.arange(120) % 3
    images[np.arange(120), 2 * classes + 1] += 150
    split = (np.arange(120) >= 90).astype(np.uint8)
    write_flat(tmp_path / "ROWS", images, np.zeros((120, 2), np.float32), label=LABELS[classes], split=split)
    return load(tmp_path, "ROWS")


def test_it_learns_and_is_reproducible(dataset, monkeypatch):
    monkeypatch.setattr(trained, "MIN_STEPS", 30)
    first = Classifier(dataset)
    assert first.score > 0.9
    (path,) = dataset.path.parent.glob("classifier-*.npz")
    path.unlink()
    assert Classifier(dataset).sha256 == first.sha256


def test_accuracy_is_measured_on_held_out_rows(dataset, monkeypatch):
    trainings = []
    monkeypatch.setattr(trained, "learn_labels", lambda *_: trainings.append(1))
    network = Classifier(dataset)._network
    predicted = LABELS[np.asarray(network(dataset.images[dataset.test_rows])).argmax(axis=1)]
    labels = dataset.labels.copy()
    labels[dataset.test_rows] = predicted
    labels[dataset.test_rows[:6]] = 5  # a label that no training image has
    relabeled = dataclasses.replace(dataset, labels=labels)
    assert Classifier(relabeled).score == pytest.approx(24 / 30)
    assert len(trainings) == 2  # other labels need another classifier
