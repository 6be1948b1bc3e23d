"""bench.conditional: its figures on a run whose codes are known."""

import json

import numpy as np
import pytest

from bench import conditional
from tests.commands.test_conditional import write
from tests.runs import newest, train


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A conditional run of a few steps on a small dataset."""
    monkeypatch.setattr("glo.features.trained.MIN_STEPS", 60)
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "datasets/BARS")
    train("--dataset", "BARS", "--max_steps", 30, "--conditional", "--prefix", "label")
    return newest(tmp_path, "label")


def test_every_figure_is_a_share_or_a_psnr(run, capsys):
    conditional.main([str(run), "--num", "12"])
    figures = json.loads(capsys.readouterr().out)
    assert figures.pop("images") == 12
    psnrs = [figures.pop(name) for name in ("train_psnr", "heldout_psnr")]
    assert np.all(np.array(psnrs) > 5)
    assert len(figures) == 7
    assert all(0 <= share <= 1 for share in figures.values())


def test_the_class_is_found_in_codes_that_hold_it():
    """Codes with the class in the sign of a product, which no linear function finds, and in nothing else."""
    from types import SimpleNamespace

    codes = np.random.default_rng(0).standard_normal((6000, 3)).astype(np.float32)
    labels = (codes[:, 0] * codes[:, 1] > 0).astype(np.int32)
    dataset = SimpleNamespace(labels=labels, train_rows=np.arange(6000))
    run = SimpleNamespace(codes=codes, dataset=dataset)
    logistic, network, held_out = conditional._class_in_codes(run, codes[:100], labels[:100])
    assert logistic < 0.6
    assert network > 0.9
    assert held_out > 0.9
