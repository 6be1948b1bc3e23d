"""evaler.py --metrics end to end, against formulas of its own."""

import json

import numpy as np
import pytest
import tensorflow as tf

from glo.evaluation import requirements
from glo.features import classifier
from glo.inference import fitting
from glo.metrics import distances
from glo.runtime.errors import UserError
from glo.settings import EvalSettings
from tests.support import assert_ok, assert_one_line_error, call, load, write_flat

N, HELD_OUT = 60, 20
FAST = ["--fit_steps", 5, "--num_fit", 8]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with a labelled dataset of 24 by 22 pixels and a run of a few steps."""
    home = tmp_path_factory.mktemp("home")
    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (N + HELD_OUT, 4, 4, 1))
    images = tf.image.resize(coarse, (24, 22)).numpy().astype(np.uint8)
    split = (np.arange(N + HELD_OUT) >= N).astype(np.uint8)
    codes = random.uniform(-0.5, 0.5, (N + HELD_OUT, 4)).astype(np.float32)
    labels = (coarse[:, 0, 0, 0] > 127).astype(np.int32)
    write_flat(home / "datasets/BLOBS", images, codes, split=split, label=labels)
    write_flat(home / "datasets/PLAIN", images, codes, split=split)
    write_flat(home / "datasets/FEW", images, codes, split=(np.arange(N + HELD_OUT) >= N + 15).astype(np.uint8))
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(home)
        assert_ok(call("trainer.py", "--dataset", "BLOBS", "--max_steps", 2, "--channels", 4, "--batch_size", 16))
    return home


@pytest.fixture(autouse=True)
def in_home(home, monkeypatch):
    monkeypatch.chdir(home)
    monkeypatch.setattr(classifier, "MIN_STEPS", 2)


def measure(folder, *args):
    """The results, and what was printed."""
    result = call("evaler.py", "--dataset", "BLOBS", "--metrics", "--output_dir", folder, *FAST, *args)
    assert_ok(result)
    return json.loads((folder / "metrics.json").read_text()), result


def test_everything_is_there_repeats_and_agrees_with_the_formulas(home, tmp_path):
    found, result = measure(tmp_path / "a", "--sampler", "unit")
    measured = found["metrics"]
    assert measured["n"] == HELD_OUT
    assert measured["sampler"] == "unit"
    assert measured["extractor"]["name"] == "classifier"
    assert 0 <= measured["extractor"]["accuracy"] <= 1
    assert len(measured["extractor"]["sha256"]) == 64
    assert measured["train"]["n"] == N
    assert measured["test"]["n"] == 8
    kinds = ["frechet", "kid", "precision", "recall", "density", "coverage"]
    names = {"chi_square", "sliced_wasserstein", "memorisation_share", *(f"{kind}_classifier" for kind in kinds)}
    assert set(measured["samples"]) == set(measured["floor"]) == names
    assert all(np.isfinite(list(measured[part].values())).all() for part in ("samples", "floor", "train", "test"))
    # Untrained samples are further from the held-out images than training images are.
    for name in ("chi_square", "sliced_wasserstein", "frechet_classifier"):
        assert measured["samples"][name] > measured["floor"][name] >= 0
    for name, value in measured["samples"].items():
        assert any(line.split()[:2] == [name, f"{value:.4f}"] for line in result.stdout.splitlines())
    assert "20 samples (unit)" in result.stdout
    again, _ = measure(tmp_path / "b", "--sampler", "unit")
    assert again == found


def test_samples_are_those_of_generate(home, tmp_path, monkeypatch):
    """The very images that --generate draws are measured, and reconstruct's fitted codes are used again."""
    seen, fits = [], []
    chi_square, fit = distances.chi_square, fitting.fit
    monkeypatch.setattr(distances, "chi_square", lambda x, y: (seen.append((x, y)), chi_square(x, y))[1])
    monkeypatch.setattr(fitting, "fit", lambda *args: (fits.append(1), fit(*args))[1])
    asked = ["--generate", "--reconstruct", "--num_samples", 12, "--num_metric_samples", 12, "--sampler", "gaussian"]
    found, _ = measure(tmp_path, *asked)
    assert found["metrics"]["n"] == 12
    assert fits == [1]
    with np.load(tmp_path / "generate_default.npz") as file:
        samples = file["image"]
    (real, generated), (other, known) = seen
    assert real.shape == generated.shape == known.shape == (12, 24, 22, 1)
    np.testing.assert_array_equal(real, other)
    np.testing.assert_array_equal(generated[:3], samples[:3])
    for part in ("train", "test"):
        assert found["metrics"][part]["psnr"] == pytest.approx(found[part]["psnr"])
    assert {"ssim", "ms_ssim_2"} < set(found["metrics"]["train"])


def test_bad_input_gets_one_line(home, tmp_path):
    metrics = ["--metrics", "--output_dir", tmp_path]
    (run,) = home.glob("train_dir/*")
    plain = ["--dataset", "PLAIN", "--checkpoint", run]
    assert_one_line_error(call("evaler.py", *plain, *metrics), "no labels", "--extractor InceptionV3")
    with pytest.raises(UserError, match=r"--metrics needs 10 .* has 75 and 5"):
        requirements.check_dataset(EvalSettings(metrics=True), load("datasets", "FEW"))
    blobs = ["--dataset", "BLOBS", *metrics]
    assert_one_line_error(call("evaler.py", *blobs, "--extractor", "Inception"), "--extractor", "InceptionV3")
    assert_one_line_error(call("evaler.py", *blobs, "--extractor", "no.h5"), "no.h5", "No such file")
    (tmp_path / "w.npz").write_bytes(b"noise")
    asked = [*blobs, "--extractor", tmp_path / "w.npz"]
    line = assert_one_line_error(call("evaler.py", *asked), "--extractor_sha256")
    digest = line.split()[-1]
    assert_one_line_error(call("evaler.py", *asked, "--extractor_sha256", "0" * 64), digest)
    assert_one_line_error(call("evaler.py", *asked, "--extractor_sha256", "xyz"), "--extractor_sha256")
    assert_one_line_error(call("evaler.py", *blobs, "--num_metric_samples", 3), "at least 10")
