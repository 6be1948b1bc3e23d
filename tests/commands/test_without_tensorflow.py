"""Help, invalid flags and download.py work without TensorFlow, which cannot be imported in these tests."""

import subprocess
import sys

import pytest

from tests.support import assert_ok, assert_one_line_error, run


@pytest.fixture
def without(tmp_path, monkeypatch):
    """A folder; packages named tensorflow and keras, which raise ImportError, shadow the real ones."""
    for name in ("tensorflow", "keras"):
        (tmp_path / "refusing" / name).mkdir(parents=True)
        (tmp_path / "refusing" / name / "__init__.py").write_text("raise ImportError('not here')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "refusing"))
    return tmp_path


def test_keras_cannot_be_imported(without):
    line = [sys.executable, "-c", "import keras"]
    assert "not here" in subprocess.run(line, capture_output=True, text=True).stderr


@pytest.mark.parametrize("script", ["download.py", "trainer.py", "evaler.py"])
def test_help_and_invalid_flags(without, script):
    assert "--seed" in run(script, "--help", cwd=without).stdout
    assert_one_line_error(run(script, "--sead", "3", cwd=without), "--sead", "did you mean --seed")


def test_datasets_are_built_described_and_verified(without):
    assert_ok(run("download.py", "--datasets", "DIGITS", "--dimension", "4", cwd=without))
    assert "1797 of 8x8x1" in run("download.py", "--info", "DIGITS", cwd=without).stdout
    assert "their checksums agree" in run("download.py", "--verify", "DIGITS", cwd=without).stdout
    assert_one_line_error(run("evaler.py", "--dataset", "DIGITS", cwd=without), "python trainer.py --dataset DIGITS")
    assert_one_line_error(run("trainer.py", "--dataset", "DIGITS", "--dimension", "9", cwd=without), "--dimension 9")
    no_attributes = run("trainer.py", "--dataset", "DIGITS", "--conditional", "Smiling", cwd=without)
    assert_one_line_error(no_attributes, "--conditional Smiling", "no attributes", "give --conditional label")
