"""What the trained extractors share: the file beside the dataset, which is replaced if it does not fit."""

import json

import numpy as np
import pytest

from glo.features import cnn, trained, weights
from glo.features.extractors import TRAINED
from tests.support import load, write_flat

pytestmark = pytest.mark.parametrize("kind", list(TRAINED.values()))


@pytest.fixture
def dataset(tmp_path):
    return make_dataset(tmp_path)


def make_dataset(folder, seed=0):
    """Noise of 9 by 8 pixels, in three classes."""
    images = np.random.default_rng(seed).integers(0, 250, (60, 9, 8, 1), np.uint8)
    split = (np.arange(60) >= 40).astype(np.uint8)
    write_flat(folder / "NOISE", images, np.zeros((60, 2), np.float32), label=np.arange(60) % 3, split=split)
    return load(folder, "NOISE")


def saved_file(dataset, kind):
    (path,) = dataset.path.parent.glob(f"{kind.name}-*.npz")
    return path


@pytest.fixture
def trainings(monkeypatch):
    """A list that grows by one with each training. Training itself is replaced: the initial weights are used."""
    calls = []
    monkeypatch.setattr(trained, "minimize", lambda *_: calls.append(1))
    return calls


def test_features_are_those_of_the_saved_network(dataset, kind, trainings):
    first = kind(dataset)
    features = first(dataset.images[:7])
    assert features.shape == (7, cnn.FEATURES)
    assert features.dtype == np.float32
    assert (features >= 0).all()  # after the ReLU
    assert features.std() > 0
    loaded = kind(dataset)
    assert len(trainings) == 1
    assert loaded.describe() == first.describe()
    assert first.describe() == {"name": kind.name, kind.measured: first.score, "sha256": first.sha256}
    np.testing.assert_array_equal(loaded(dataset.images[:7]), features)


def test_training_uses_all_training_rows_even_if_a_run_uses_few(dataset, kind, trainings):
    kind(dataset)
    kind(load(dataset.path.parent.parent, "NOISE", max_samples=5))
    assert len(trainings) == 1


@pytest.mark.parametrize("damage", ["cut", "foreign", "changed", "score", "link"])
def test_a_damaged_or_foreign_file_is_replaced(dataset, kind, damage, tmp_path, trainings):
    original = kind(dataset)
    path = saved_file(dataset, kind)
    content = path.read_bytes()
    if damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "foreign":
        other = make_dataset(tmp_path / "other", seed=1)
        kind(other)
        assert saved_file(other, kind).name != path.name
        path.write_bytes(saved_file(other, kind).read_bytes())
    elif damage == "link":
        path.unlink()
        path.symlink_to("nowhere.npz")
    else:
        with np.load(path) as file:
            arrays = dict(file)
        if damage == "changed":
            arrays["arr_0"] = arrays["arr_0"] + 1e-3
        else:
            arrays["about"] = np.array(json.dumps({**json.loads(str(arrays["about"])), kind.measured: 7}))
        np.savez(path, **arrays)
    before = len(trainings)
    assert kind(dataset).sha256 == original.sha256
    assert len(trainings) == before + 1
    kind(dataset)
    assert len(trainings) == before + 1  # read from the replaced file


def test_it_works_if_it_cannot_be_saved(dataset, kind, trainings, monkeypatch):
    def refuse(path, *_):
        raise trained.files.cannot_write(path, PermissionError(13, "Permission denied"))

    monkeypatch.setattr(weights, "write", refuse)
    assert 0 <= kind(dataset).score <= 1
    assert not list(dataset.path.parent.glob("*.npz"))
