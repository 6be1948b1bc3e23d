"""Folders in which commands are run: one with a toy dataset, and one with digits and a run trained on them."""

import numpy as np
import pytest

from tests.support import assert_ok, call, samples, write_flat


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
    """A folder with datasets/digits and a run of 300 steps."""
    folder = tmp_path_factory.mktemp("digits")
    train = ["--dataset", "DIGITS", "--channels", 32, "--max_steps", 300, "--epochs", 12, "--prefix", "small"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)  # the run refers to its dataset relative to this folder, which tests copy
        assert_ok(call("download.py", "--datasets", "DIGITS", "--dimension", 16))
        assert_ok(call("trainer.py", *train, "--precision", "float32"))
    return folder
