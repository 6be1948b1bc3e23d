"""The classifier: it learns, repeats, is kept beside the dataset, and only its own cache is believed."""

import dataclasses
import json

import numpy as np
import pytest

from glo.features import classifier
from glo.features.classifier import Classifier
from tests.support import load, write_flat

LABELS = np.array([-4, 0, 70000])  # any integers


@pytest.fixture
def dataset(tmp_path):
    """Noise with a bright row, which tells the class; 9 by 8 pixels."""
    return made(tmp_path)


def made(folder, seed=0):
    random = np.random.default_rng(seed)
    images = random.integers(0, 100, (120, 9, 8, 1), np.uint8)
    classes = np.arange(120) % 3
    images[np.arange(120), 2 * classes + 1] += 150
    split = (np.arange(120) >= 90).astype(np.uint8)
    write_flat(folder / "ROWS", images, np.zeros((120, 2), np.float32), label=LABELS[classes], split=split)
    return load(folder, "ROWS")


def cache(dataset):
    (path,) = dataset.path.parent.glob("classifier-*.npz")
    return path


@pytest.fixture
def trainings(monkeypatch):
    """A list that grows by one with each training, which is left out: the first weights, of a fixed seed, will do."""
    seen = []
    monkeypatch.setattr(classifier, "_train", lambda *_: seen.append(1))
    return seen


def test_it_learns_and_repeats(dataset, monkeypatch):
    monkeypatch.setattr(classifier, "MIN_STEPS", 30)
    first = Classifier(dataset)
    assert first.accuracy > 0.9
    features = first(dataset.images[:7])
    assert features.shape == (7, classifier.FEATURES)
    assert features.dtype == np.float32
    assert (features >= 0).all()  # after the ReLU
    assert features.std() > 0
    kept = Classifier(dataset)
    assert kept.describe() == first.describe()
    np.testing.assert_array_equal(kept(dataset.images[:7]), features)
    cache(dataset).unlink()
    again = Classifier(dataset)
    assert again.sha256 == first.sha256
    np.testing.assert_array_equal(again(dataset.images[:7]), features)


def test_accuracy_is_that_of_held_out_rows(dataset, trainings):
    network = Classifier(dataset)._network
    predicted = LABELS[np.asarray(network(dataset.images[dataset.test_rows])).argmax(axis=1)]
    labels = dataset.labels.copy()
    labels[dataset.test_rows] = predicted
    labels[dataset.test_rows[:6]] = 5  # which no training image has
    other = dataclasses.replace(dataset, labels=labels)
    assert Classifier(other).accuracy == pytest.approx(24 / 30)
    assert len(trainings) == 2  # other labels, another classifier


def test_it_is_trained_on_all_training_rows_whatever_a_run_takes(dataset, trainings):
    Classifier(dataset)
    Classifier(load(dataset.path.parent.parent, "ROWS", max_samples=5))
    assert len(trainings) == 1


@pytest.mark.parametrize("damage", ["cut", "foreign", "changed", "accuracy"])
def test_a_cache_that_is_damaged_or_foreign_is_replaced(dataset, damage, tmp_path, trainings):
    right = Classifier(dataset)
    path = cache(dataset)
    whole = path.read_bytes()
    if damage == "cut":
        path.write_bytes(whole[: len(whole) // 2])
    elif damage == "foreign":
        other = made(tmp_path / "other", seed=1)
        Classifier(other)
        assert cache(other).name != path.name
        path.write_bytes(cache(other).read_bytes())
    else:
        with np.load(path) as file:
            arrays = dict(file)
        if damage == "changed":
            arrays["arr_0"] = arrays["arr_0"] + 1e-3
        else:
            arrays["about"] = np.array(json.dumps({**json.loads(str(arrays["about"])), "accuracy": 7}))
        np.savez(path, **arrays)
    before = len(trainings)
    assert Classifier(dataset).sha256 == right.sha256
    assert len(trainings) == before + 1
    Classifier(dataset)
    assert len(trainings) == before + 1  # the replaced cache is sound


def test_a_folder_that_takes_no_cache_is_no_obstacle(dataset, trainings, monkeypatch):
    def refuse(path, *_):
        raise classifier.files.cannot_write(path, PermissionError(13, "Permission denied"))

    monkeypatch.setattr(classifier.weights, "write", refuse)
    assert 0 <= Classifier(dataset).accuracy <= 1
    assert not list(dataset.path.parent.glob("*.npz"))
