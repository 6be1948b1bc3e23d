"""The contrastive network: it learns without labels, is reproducible, and is saved beside the dataset."""

import dataclasses
import json

import numpy as np
import pytest

from glo.features import cnn, contrast, contrastive, trained, weights
from glo.features.contrastive import Contrastive
from tests.support import load, write_flat


@pytest.fixture
def dataset(tmp_path):
    """Images of 9 by 8 pixels: each has two bright spots, whose positions distinguish it from most others."""
    return make_dataset(tmp_path)


def make_dataset(folder, seed=0):
    random = np.random.default_rng(seed)
    images = np.full((160, 9, 8, 1), 60, np.uint8)
    for _ in range(2):
        images[np.arange(160), random.integers(9, size=160), random.integers(8, size=160)] = 250
    split = (np.arange(160) >= 120).astype(np.uint8)
    write_flat(folder / "SPOTS", images, np.zeros((160, 2), np.float32), split=split)
    return load(folder, "SPOTS")


def saved_file(dataset):
    (path,) = dataset.path.parent.glob("contrastive-*.npz")
    return path


@pytest.fixture
def trainings(monkeypatch):
    """A list that grows by one with each training. Training itself is replaced: the initial weights are used."""
    calls = []
    monkeypatch.setattr(contrast, "learn_images", lambda *_: calls.append(1))
    return calls


def test_it_learns_and_is_reproducible(dataset, monkeypatch):
    monkeypatch.setattr(contrastive, "MAX_STEPS", 1)
    monkeypatch.setattr(contrastive, "MIN_STEPS", 1)
    untrained = Contrastive(dataset)
    saved_file(dataset).unlink()
    monkeypatch.setattr(contrastive, "MAX_STEPS", 60)
    first = Contrastive(dataset)
    assert first.score > untrained.score + 0.1
    assert first.describe() == {"name": "contrastive", "recognised": first.score, "sha256": first.sha256}
    features = first(dataset.images[:7])
    assert features.shape == (7, cnn.FEATURES)
    assert features.dtype == np.float32
    assert (features >= 0).all()  # after the ReLU
    assert features.std() > 0
    loaded = Contrastive(dataset)
    assert loaded.describe() == first.describe()
    np.testing.assert_array_equal(loaded(dataset.images[:7]), features)
    saved_file(dataset).unlink()
    assert Contrastive(dataset).sha256 == first.sha256


def test_it_depends_on_no_labels_and_not_on_the_images_of_a_run(dataset, trainings):
    Contrastive(dataset)
    Contrastive(dataclasses.replace(dataset, labels=np.arange(160, dtype=np.int32) % 2))
    Contrastive(load(dataset.path.parent.parent, "SPOTS", max_samples=5))
    assert len(trainings) == 1
    Contrastive(dataclasses.replace(dataset, split=1 - dataset.split))
    assert len(trainings) == 2


@pytest.mark.parametrize("held_out", [0, 1])
def test_without_two_held_out_images_nothing_is_recognised(dataset, trainings, held_out):
    few = dataclasses.replace(dataset, test_rows=dataset.test_rows[:held_out])
    assert Contrastive(few).score == 0


@pytest.mark.parametrize("damage", ["cut", "foreign", "changed", "score", "link"])
def test_a_damaged_or_foreign_file_is_replaced(dataset, damage, tmp_path, trainings):
    original = Contrastive(dataset)
    path = saved_file(dataset)
    content = path.read_bytes()
    if damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "foreign":
        other = make_dataset(tmp_path / "other", seed=1)
        Contrastive(other)
        assert saved_file(other).name != path.name
        path.write_bytes(saved_file(other).read_bytes())
    elif damage == "link":
        path.unlink()
        path.symlink_to("nowhere.npz")
    else:
        with np.load(path) as file:
            arrays = dict(file)
        if damage == "changed":
            arrays["arr_0"] = arrays["arr_0"] + 1e-3
        else:
            arrays["about"] = np.array(json.dumps({**json.loads(str(arrays["about"])), "recognised": "all"}))
        np.savez(path, **arrays)
    before = len(trainings)
    assert Contrastive(dataset).sha256 == original.sha256
    assert len(trainings) == before + 1
    Contrastive(dataset)
    assert len(trainings) == before + 1  # read from the replaced file


def test_it_works_if_it_cannot_be_saved(dataset, trainings, monkeypatch):
    def refuse(path, *_):
        raise trained.files.cannot_write(path, PermissionError(13, "Permission denied"))

    monkeypatch.setattr(weights, "write", refuse)
    assert 0 <= Contrastive(dataset).score <= 1
    assert not list(dataset.path.parent.glob("*.npz"))
