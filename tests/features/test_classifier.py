"""The classifier: it learns, is reproducible, and is saved beside the dataset; files that do not fit are replaced."""

import dataclasses
import json

import numpy as np
import pytest

from glo.features import cnn, trained, weights
from glo.features.classifier import Classifier
from tests.support import load, write_flat

LABELS = np.array([-4, 0, 70000])  # labels may be any integers


@pytest.fixture
def dataset(tmp_path):
    """Images of 9 by 8 pixels: noise with one bright row, whose position is the class."""
    return make_dataset(tmp_path)


def make_dataset(folder, seed=0):
    random = np.random.default_rng(seed)
    images = random.integers(0, 100, (120, 9, 8, 1), np.uint8)
    classes = np.arange(120) % 3
    images[np.arange(120), 2 * classes + 1] += 150
    split = (np.arange(120) >= 90).astype(np.uint8)
    write_flat(folder / "ROWS", images, np.zeros((120, 2), np.float32), label=LABELS[classes], split=split)
    return load(folder, "ROWS")


def saved_file(dataset):
    (path,) = dataset.path.parent.glob("classifier-*.npz")
    return path


@pytest.fixture
def trainings(monkeypatch):
    """A list that grows by one with each training. Training itself is replaced: the initial weights are used."""
    calls = []
    monkeypatch.setattr(trained, "learn_labels", lambda *_: calls.append(1))
    return calls


def test_the_classifier_learns_and_is_reproducible(dataset, monkeypatch):
    monkeypatch.setattr(trained, "MIN_STEPS", 30)
    first = Classifier(dataset)
    assert first.accuracy > 0.9
    features = first(dataset.images[:7])
    assert features.shape == (7, cnn.FEATURES)
    assert features.dtype == np.float32
    assert (features >= 0).all()  # after the ReLU
    assert features.std() > 0
    loaded = Classifier(dataset)
    assert loaded.describe() == first.describe()
    np.testing.assert_array_equal(loaded(dataset.images[:7]), features)
    saved_file(dataset).unlink()
    retrained = Classifier(dataset)
    assert retrained.sha256 == first.sha256
    np.testing.assert_array_equal(retrained(dataset.images[:7]), features)


def test_accuracy_is_measured_on_held_out_rows(dataset, trainings):
    network = Classifier(dataset)._network
    predicted = LABELS[np.asarray(network(dataset.images[dataset.test_rows])).argmax(axis=1)]
    labels = dataset.labels.copy()
    labels[dataset.test_rows] = predicted
    labels[dataset.test_rows[:6]] = 5  # a label that no training image has
    relabeled = dataclasses.replace(dataset, labels=labels)
    assert Classifier(relabeled).accuracy == pytest.approx(24 / 30)
    assert len(trainings) == 2  # other labels need another classifier


def test_training_uses_all_training_rows_even_if_a_run_uses_few(dataset, trainings):
    Classifier(dataset)
    Classifier(load(dataset.path.parent.parent, "ROWS", max_samples=5))
    assert len(trainings) == 1


@pytest.mark.parametrize("damage", ["cut", "foreign", "changed", "accuracy"])
def test_a_damaged_or_foreign_file_is_replaced(dataset, damage, tmp_path, trainings):
    original = Classifier(dataset)
    path = saved_file(dataset)
    content = path.read_bytes()
    if damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "foreign":
        other = make_dataset(tmp_path / "other", seed=1)
        Classifier(other)
        assert saved_file(other).name != path.name
        path.write_bytes(saved_file(other).read_bytes())
    else:
        with np.load(path) as file:
            arrays = dict(file)
        if damage == "changed":
            arrays["arr_0"] = arrays["arr_0"] + 1e-3
        else:
            arrays["about"] = np.array(json.dumps({**json.loads(str(arrays["about"])), "accuracy": 7}))
        np.savez(path, **arrays)
    before = len(trainings)
    assert Classifier(dataset).sha256 == original.sha256
    assert len(trainings) == before + 1
    Classifier(dataset)
    assert len(trainings) == before + 1  # read from the replaced file


def test_the_classifier_works_if_it_cannot_be_saved(dataset, trainings, monkeypatch):
    def refuse(path, *_):
        raise trained.files.cannot_write(path, PermissionError(13, "Permission denied"))

    monkeypatch.setattr(weights, "write", refuse)
    assert 0 <= Classifier(dataset).accuracy <= 1
    assert not list(dataset.path.parent.glob("*.npz"))
