"""evaler.py --metrics end to end: all metrics are present, repeatable and plausible."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from glo.evaluation import reconstruct, requirements
from glo.features import contrastive, trained
from glo.inference import fitting
from glo.metrics import distances
from glo.runtime.errors import UserError
from glo.settings import EvalSettings
from tests.runs import SAME, evaluate
from tests.runs import metrics as read_metrics
from tests.support import assert_ok, assert_one_line_error, call, load, write_flat

N, HELD_OUT = 60, 44


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with a labelled dataset of 24x22 pixels, two variants of it, and a run of 2 steps."""
    home = tmp_path_factory.mktemp("home")
    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (N + HELD_OUT, 4, 4, 1))
    images = tf.image.resize(coarse, (24, 22)).numpy().astype(np.uint8)
    split = (np.arange(N + HELD_OUT) >= N).astype(np.uint8)
    codes = random.uniform(-0.5, 0.5, (N + HELD_OUT, 4)).astype(np.float32)
    labels = (coarse[:, 0, 0, 0] > 127).astype(np.int32)
    write_flat(home / "datasets/BLOBS", images, codes, split=split, label=labels)
    write_flat(home / "datasets/PLAIN", images, codes, split=split)
    write_flat(
        home / "datasets/FEW", images, codes, split=(np.arange(N + HELD_OUT) >= N + HELD_OUT - 5).astype(np.uint8)
    )
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(home)
        assert_ok(
            call("trainer.py", *SAME, "--dataset", "BLOBS", "--max_steps", 2, "--channels", 4, "--batch_size", 16)
        )
    return home


@pytest.fixture(autouse=True)
def in_home(home, monkeypatch):
    monkeypatch.chdir(home)
    monkeypatch.setattr(trained, "MIN_STEPS", 2)
    monkeypatch.setattr(contrastive, "MIN_STEPS", 2)
    monkeypatch.setattr(contrastive, "MAX_STEPS", 2)


def measure(folder, *args):
    """Run evaler.py --metrics; returns the content of metrics.json and the printed text."""
    small = ["--fit_steps", 5, "--num_fit", 8]
    result = evaluate("--dataset", "BLOBS", "--metrics", "--output_dir", folder, *small, *args)
    return read_metrics(folder), result.stdout


def test_all_metrics_are_written_printed_and_repeatable(home, tmp_path):
    results, printed = measure(tmp_path / "a", "--sampler", "unit")
    measured = results["metrics"]
    assert measured["n"] == HELD_OUT
    assert measured["sampler"] == "unit"
    assert measured["extractor"]["name"] == "classifier"
    assert 0 <= measured["extractor"]["accuracy"] <= 1
    assert len(measured["extractor"]["sha256"]) == 64
    assert measured["train"]["n"] == N
    assert measured["test"]["n"] == 8
    kinds = ["frechet", "kid", "kid_spread", "precision", "recall", "density", "coverage"]
    shares = ["memorisation_share", "memorisation_share_shifted"]
    names = {"chi_square", "sliced_wasserstein", *shares, *(f"{kind}_classifier" for kind in kinds)}
    assert set(measured["samples"]) == set(measured["floor"]) == names
    assert all(np.isfinite(list(measured[part].values())).all() for part in ("samples", "floor", "train", "test"))
    # Samples of an untrained generator are farther from held-out images than training images are.
    for name in ("chi_square", "sliced_wasserstein", "frechet_classifier"):
        assert measured["samples"][name] > measured["floor"][name] >= 0
    for name, value in measured["samples"].items():
        assert any(line.split()[:2] == [name, f"{value:.4f}"] for line in printed.splitlines())
    assert "44 samples (unit, temperature 1, fitted to 54 learned codes, log-likelihood of held-out codes" in printed
    for part in ("train", "test"):
        assert {"psnr", "psnr_image_mean", "psnr_pca"} < set(measured[part])
    assert all(text in printed for text in ("psnr, pooled", "psnr, mean of images", "psnr of PCA, same d"))
    copied = measured["copying"]
    assert copied["words"] in printed
    assert [copied[name]["n"] for name in ("samples", "held_out", "fits")] == [44, 22, 8]
    assert copied["fits"]["c_t"] is None  # of 8 fits
    assert "not measured" in printed
    for name in ("samples", "held_out"):
        assert copied[name]["nearer_low"] <= copied[name]["nearer"] <= copied[name]["nearer_high"]
        assert copied[name]["membership_low"] <= copied[name]["membership"] <= copied[name]["membership_high"]
    assert (tmp_path / "a/copying_default.png").exists()
    repeated, _ = measure(tmp_path / "b", "--sampler", "unit")
    assert repeated == results


def test_images_without_labels_are_measured_in_the_features_of_the_contrastive_network(home, tmp_path, monkeypatch):
    (run,) = home.glob("train_dir/*")
    args = ["--dataset", "PLAIN", "--checkpoint", run, "--sampler", "unit"]
    evaluate(*args, "--generate", "--output_dir", tmp_path / "before")
    assert read_metrics(tmp_path / "before")["generate"]["copying"] is None  # no network yet
    results, printed = measure(tmp_path / "a", *args)
    measured = results["metrics"]
    assert measured["extractor"]["name"] == "contrastive"
    assert 0 <= measured["extractor"]["recognised"] <= 1
    assert {"frechet_contrastive", "kid_contrastive", "recall_contrastive"} < set(measured["samples"])
    assert not any("classifier" in name for name in measured["samples"])
    assert measured["samples"]["frechet_contrastive"] > measured["floor"]["frechet_contrastive"] >= 0
    assert measured["copying"]["samples"]["authentic"] is not None
    assert "with the extractor contrastive (recognised" in printed
    (file,) = home.glob("datasets/PLAIN/*.npz")
    monkeypatch.setattr(trained, "minimize", None)  # the network is not trained again
    assert measure(tmp_path / "b", *args)[0] == results
    evaluate(*args, "--generate", "--output_dir", tmp_path / "after")
    assert read_metrics(tmp_path / "after")["generate"]["copying"]["samples"]["n"] > 0
    assert [file] == list(home.glob("datasets/PLAIN/*.npz"))


def test_samples_are_those_of_generate(home, tmp_path, monkeypatch):
    """Metrics are computed of the images of --generate, and --reconstruct and --metrics share the fitted codes."""
    compared, fits = [], []
    chi_square, fit = distances.chi_square, fitting.fit
    monkeypatch.setattr(distances, "chi_square", lambda x, y: (compared.append((x, y)), chi_square(x, y))[1])
    monkeypatch.setattr(fitting, "fit", lambda *args: (fits.append(1), fit(*args))[1])
    args = ["--generate", "--reconstruct", "--num_samples", 12, "--num_metric_samples", 12, "--sampler", "gaussian"]
    results, _ = measure(tmp_path, *args)
    assert results["metrics"]["n"] == 12
    assert fits == [1]
    with np.load(tmp_path / "generate_default.npz") as file:
        samples = file["image"]
    (real, generated), (real_of_floor, training) = compared
    assert real.shape == generated.shape == training.shape == (12, 24, 22, 1)
    np.testing.assert_array_equal(real, real_of_floor)
    np.testing.assert_array_equal(generated[:3], samples[:3])
    for part in ("train", "test"):
        assert results["metrics"][part]["psnr"] == pytest.approx(results[part]["psnr"])
    assert {"ssim", "ms_ssim_2"} < set(results["metrics"]["train"])


def test_without_metrics_some_training_images_are_reconstructed(home, tmp_path, monkeypatch):
    monkeypatch.setattr(reconstruct, "MEASURED", 5)
    args = ["--dataset", "BLOBS", "--reconstruct", "--fit_steps", 1, "--num_fit", 2]
    evaluate(*args, "--output_dir", tmp_path / "some")
    assert read_metrics(tmp_path / "some")["train"]["n"] == 5
    measured, _ = measure(tmp_path / "all", "--reconstruct", "--sampler", "gaussian")
    assert measured["train"]["n"] == N


def test_invalid_input_causes_one_line_errors(home, tmp_path):
    metrics = ["--metrics", "--output_dir", tmp_path]
    (run,) = home.glob("train_dir/*")
    plain = ["--dataset", "PLAIN", "--checkpoint", run]
    explicit = ["--extractor", "classifier"]
    for task in (metrics, ["--generate", "--output_dir", tmp_path]):
        assert_one_line_error(call("evaler.py", *plain, *task, *explicit), "no labels", "--extractor contrastive")
    alike = dataclasses.replace(load("datasets", "BLOBS"), labels=np.full(N + HELD_OUT, 7, np.int32))
    with pytest.raises(UserError, match="no labels of two classes"):
        requirements.check_dataset(EvalSettings(metrics=True, extractor="classifier"), alike)
    requirements.check_dataset(EvalSettings(metrics=True), alike)
    with pytest.raises(UserError, match=r"--metrics needs 10 .* has 99 and 5"):
        requirements.check_dataset(EvalSettings(metrics=True), load("datasets", "FEW"))
    blobs = ["--dataset", "BLOBS", *metrics]
    assert_one_line_error(call("evaler.py", *blobs, "--extractor", "Inception"), "--extractor", "InceptionV3")
    assert_one_line_error(call("evaler.py", *blobs, "--extractor", "no.h5"), "no.h5", "No such file")
    (tmp_path / "w.npz").write_bytes(b"noise")
    weights = [*blobs, "--extractor", tmp_path / "w.npz"]
    line = assert_one_line_error(call("evaler.py", *weights), "--extractor_sha256")
    digest = line.split()[-1]
    assert_one_line_error(call("evaler.py", *weights, "--extractor_sha256", "0" * 64), digest)
    assert_one_line_error(call("evaler.py", *weights, "--extractor_sha256", "xyz"), "--extractor_sha256")
    assert_one_line_error(call("evaler.py", *blobs, "--num_metric_samples", 3), "at least 10")
