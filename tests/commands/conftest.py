"""Folders in which commands are run: one with a toy dataset, and one with digits and a run trained on them."""

import numpy as np
import pytest

from tests.support import assert_ok, run, samples, write_flat


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """A folder with datasets/TOY: 42 random images of 8x8 with codes of 6 dimensions, 32 for training."""
    folder = tmp_path_factory.mktemp("toy")
    images, codes = samples(42, (8, 8, 1), 6)
    write_flat(folder / "datasets/TOY", images, codes, split=(np.arange(42) >= 32).astype(np.uint8))
    return folder


@pytest.fixture
def home(toy, monkeypatch):
    """The folder of the toy dataset, which is made the current directory."""
    monkeypatch.chdir(toy)
    return toy


@pytest.fixture(scope="session")
def digits(tmp_path_factory):
    """A folder with datasets/digits and a run of 300 steps, made by the commands in processes of their own."""
    folder = tmp_path_factory.mktemp("digits")
    assert_ok(run("download.py", "--datasets", "DIGITS", "--dimension", 16, cwd=folder))
    train = ["--dataset", "DIGITS", "--channels", 32, "--max_steps", 300, "--epochs", 12, "--prefix", "small"]
    assert_ok(run("trainer.py", *train, cwd=folder, timeout=300))
    return folder
