"""The contrastive network: it learns without labels, and is reproducible."""

import dataclasses

import numpy as np
import pytest

from glo.features import contrast, contrastive
from glo.features.contrastive import Contrastive
from tests.support import load, write_flat


@pytest.fixture
def dataset(tmp_path):
    """Images of 12 by 12 pixels: squares of random brightness."""
    squares = np.random.default_rng(0).integers(0, 256, (160, 4, 4, 1), np.uint8)
    images = squares.repeat(3, axis=1).repeat(3, axis=2)
    split = (np.arange(160) >= 120).astype(np.uint8)
    write_flat(tmp_path / "SQUARES", images, np.zeros((160, 2), np.float32), split=split)
    return load(tmp_path, "SQUARES")


def test_it_learns_and_is_reproducible(dataset, monkeypatch):
    monkeypatch.setattr(contrastive, "MIN_STEPS", 1)
    networks = []
    for steps in (1, 60, 60):
        monkeypatch.setattr(contrastive, "MAX_STEPS", steps)
        networks.append(Contrastive(dataset))
        (path,) = dataset.path.parent.glob("contrastive-*.npz")
        path.unlink()
    untrained, first, again = networks
    assert first.score > untrained.score + 0.1
    assert again.sha256 == first.sha256


def test_it_depends_on_training_images_and_not_on_labels(dataset, monkeypatch):
    trainings = []
    monkeypatch.setattr(contrast, "learn_images", lambda *_: trainings.append(1))
    Contrastive(dataset)
    Contrastive(dataclasses.replace(dataset, labels=np.arange(160, dtype=np.int32) % 2))
    assert len(trainings) == 1
    Contrastive(dataclasses.replace(dataset, split=1 - dataset.split))
    assert len(trainings) == 2


@pytest.mark.parametrize("held_out", [0, 1])
def test_without_two_held_out_images_nothing_is_recognised(dataset, monkeypatch, held_out):
    monkeypatch.setattr(contrast, "learn_images", lambda *_: None)
    few = dataclasses.replace(dataset, test_rows=dataset.test_rows[:held_out])
    assert Contrastive(few).score == 0
