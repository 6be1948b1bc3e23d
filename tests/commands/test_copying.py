"""Copying by samples of a trained model of digits: what --metrics, --generate and --compare say about it."""

import shutil

import numpy as np
import pytest
from PIL import Image

from glo.samplers import kde
from tests.runs import evaluate, metrics
from tests.support import assert_ok, call


@pytest.fixture(scope="module")
def home(digits, tmp_path_factory):
    """A copy of the folder with digits and their run, which only this module uses."""
    return shutil.copytree(digits, tmp_path_factory.mktemp("copying") / "home")


@pytest.fixture(autouse=True)
def trained(home, monkeypatch):
    """The run folder. A kde now draws the learned codes again, with hardly any noise."""
    monkeypatch.chdir(home)
    monkeypatch.setattr("glo.features.trained.MIN_STEPS", 100)
    monkeypatch.setattr(kde, "BANDWIDTHS", np.array([1e-3]))
    (folder,) = home.glob("train_dir/small-*")
    return folder


def test_copies_of_learned_codes_are_found_out(trained, tmp_path):
    args = ["--checkpoint", trained, "--sampler", "kde", "--num_fit", 90]
    before = evaluate(*args, "--generate", "--output_dir", tmp_path / "before")
    assert metrics(tmp_path / "before")["generate"]["near_memorising"] is None  # no classifier yet
    assert "not measured in features" in before.stderr
    measured = evaluate(*args, "--metrics", "--output_dir", tmp_path)
    results = metrics(tmp_path)["metrics"]
    samples, held_out, fits = (results["copying"][name] for name in ("samples", "held_out", "fits"))
    assert results["copying"]["near_memorising"] is True
    assert samples["c_t"] < -3 < held_out["c_t"]
    assert samples["nearer_low"] > 0.6 > held_out["nearer"]
    assert samples["membership_low"] > 0.6 > held_out["membership_low"]
    assert samples["authentic"] < min(held_out["authentic"], fits["authentic"]) - 0.1
    assert results["samples"]["memorisation_share"] > 2 * results["floor"]["memorisation_share"] + 0.1
    assert "copying: samples are nearer to training images than decoded fits of held-out images are (C_T -" in (
        measured.stdout
    )
    assert "the sampler kde overfits" in measured.stderr
    assert results["fitted_to"] == "1455 learned codes"
    assert results["bandwidth"] == pytest.approx(1e-3)
    assert np.asarray(Image.open(tmp_path / "copying_default.png")).std() > 20
    after = evaluate(*args, "--generate", "--output_dir", tmp_path / "after")
    generated = metrics(tmp_path / "after")["generate"]
    assert generated["near_memorising"] is True
    assert generated["copying"]["samples"]["n"] == 1000
    assert "copying: samples are nearer to training images than held-out images are (C_T -" in after.stderr
    assert "kde, near-memorising" in after.stderr


def test_a_single_gaussian_copies_nothing(trained, tmp_path):
    args = ["--checkpoint", trained, "--sampler", "gaussian", "--metrics", "--num_fit", 90]
    log = evaluate(*args, "--output_dir", tmp_path).stderr
    results = metrics(tmp_path)["metrics"]
    assert results["copying"]["near_memorising"] is False
    assert results["copying"]["samples"]["nearer"] < 0.5
    assert results["copying"]["samples"]["membership"] == pytest.approx(0.5, abs=0.1)
    assert "overfits" not in log


def test_runs_are_compared_by_copying_and_by_the_options_of_their_samplers(trained, tmp_path):
    args = ["--checkpoint", trained, "--sampler", "gmm", "--components", 3, "--metrics", "--num_fit", 90]
    evaluate(*args, "--output_dir", trained / "eval-300")
    printed = assert_ok_stdout(call("evaler.py", "--compare", trained, "--output_dir", tmp_path))
    lines = {line.split()[0]: line.split()[1:] for line in printed.splitlines() if line.split()}
    copied = metrics(trained / "eval-300")["metrics"]["copying"]
    for name in ("c_t", "nearer", "authentic", "membership"):
        assert lines[name] == [f"{copied['samples'][name]:.4f}"]
        assert lines[f"{name}_held_out"] == [f"{copied['held_out'][name]:.4f}"]
        assert lines[f"{name}_fits"] == [f"{copied['fits'][name]:.4f}"]
    assert lines["components"] == ["3"]
    assert lines["fitted_to"] == ["1455", "learned", "codes"]
    assert {"train_psnr_pca", "heldout_psnr_pca", "train_psnr_image_mean", "kid_spread_classifier"} < set(lines)


def assert_ok_stdout(result):
    """Assert that a command succeeded; returns what it printed."""
    assert_ok(result)
    return result.stdout
