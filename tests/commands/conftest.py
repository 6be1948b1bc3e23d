"""Folders in which the commands are run: one with a toy dataset, and one with digits and a run trained on them."""

import numpy as np
import pytest

from tests.support import assert_ok, run, samples, write_flat


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """A folder with datasets/TOY: 42 random images 8x8 with codes of 6, of which 32 are trained on."""
    folder = tmp_path_factory.mktemp("toy")
    images, codes = samples(42, (8, 8, 1), 6)
    write_flat(folder / "datasets/TOY", images, codes, split=(np.arange(42) >= 32).astype(np.uint8))
    return folder


@pytest.fixture
def home(toy, monkeypatch):
    """The folder of the toy dataset, as the current directory."""
    monkeypatch.chdir(toy)
    return toy


@pytest.fixture(scope="session")
def digits(tmp_path_factory):
    """A folder with datasets/digits and a run of 300 steps, made by the commands as processes."""
    folder = tmp_path_factory.mktemp("digits")
    assert_ok(run("download.py", "--datasets", "DIGITS", "--dimension", 16, cwd=folder))
    train = ["--dataset", "DIGITS", "--channels", 32, "--max_steps", 300, "--epochs", 12, "--prefix", "small"]
    assert_ok(run("trainer.py", *train, cwd=folder, timeout=300))
    return folder
