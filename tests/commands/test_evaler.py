"""evaler.py end to end, on a model of digits that was built and trained by the commands."""

import shutil

import h5py
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from sklearn.neighbors import KNeighborsClassifier

import glo
from tests.runs import FAST_FIT, SAME, evaluate, metrics, records
from tests.support import assert_ok, assert_one_line_error, call, run, samples, write_flat


@pytest.fixture(scope="module")
def home(digits, tmp_path_factory):
    """A copy of the folder with digits and their run, which only this module uses."""
    return shutil.copytree(digits, tmp_path_factory.mktemp("evaler") / "home")


@pytest.fixture
def trained(home, monkeypatch):
    """The run folder, relative to the current directory."""
    monkeypatch.chdir(home)
    (folder,) = home.glob("train_dir/small-*")
    return folder.relative_to(home)


def test_training_on_digits_lowers_the_loss_fourfold(trained):
    losses = [record["loss"] for record in records(trained) if "loss" in record]
    assert losses[-1] < losses[0] / 4


def test_all_tasks_as_a_process(home, trained):
    result = run("evaler.py", "--dataset", "DIGITS", "--prefix", "digits", *FAST_FIT, cwd=home)
    log = assert_ok(result)
    out = home / trained / "eval-300"
    assert str(trained / "eval-300") in log
    names = {"reconstruct_digits.png", "generate_digits.png", "generate_digits.npz", "interpolate_digits.png"}
    assert {path.name for path in out.iterdir()} == names | {"interpolate_digits.gif", "metrics.json"}
    results = metrics(out)
    assert results["train"]["n"] == 1617
    assert results["test"]["n"] == 30
    assert results["train"]["psnr"] > 20
    assert results["test"]["psnr"] > 18
    assert f"{results['train']['psnr']:.2f}" in log
    for name in ("reconstruct", "generate", "interpolate"):
        picture = np.asarray(Image.open(out / f"{name}_digits.png"))
        assert picture.std() > 40  # not blank
    assert Image.open(out / "interpolate_digits.gif").n_frames > 5
    with np.load(out / "generate_digits.npz") as file:
        assert file["image"].shape == (64, 8, 8, 1)
        assert file["image"].dtype == np.uint8
        assert file["code"].shape == (64, 16)
        assert np.linalg.norm(file["code"], axis=1).max() <= 1 + 1e-5


def test_the_train_psnr_against_a_computation_from_the_checkpoint(home, trained, tmp_path):
    """Weights and codes are read with TensorFlow's reader, and the network is written in NumPy."""
    evaluate("--checkpoint", trained, "--reconstruct", "--output_dir", tmp_path)
    reader = tf.train.load_checkpoint(str(trained / "model-300"))
    codes, dense = reader.get_tensor("table/codes"), reader.get_tensor("generator/project/kernel")
    gamma, beta, mean, variance = (
        reader.get_tensor(f"generator/norm/{name}") for name in ("gamma", "beta", "moving_mean", "moving_variance")
    )
    kernel, bias = reader.get_tensor("generator/up0/kernel"), reader.get_tensor("generator/up0/bias")
    hidden = (codes @ dense).reshape(-1, 4, 4, 32)
    hidden = (hidden - mean) / np.sqrt(variance + 1e-3) * gamma + beta
    hidden = np.maximum(hidden, 0.2 * hidden)
    # A transposed convolution with stride 2 and kernel 4, 'same': each input pixel adds its kernel, then a border of
    # one pixel is removed.
    canvas = np.zeros((len(codes), 10, 10))
    for row in range(4):
        for column in range(4):
            patch = np.einsum("nc,ijc->nij", hidden[:, row, column], kernel[:, :, 0])
            canvas[:, 2 * row : 2 * row + 4, 2 * column : 2 * column + 4] += patch
    images = (np.tanh(canvas[:, 1:9, 1:9] + bias) + 1) / 2
    with h5py.File(home / "datasets/digits/data.hdf5") as file:
        originals = file["image"][:][file["split"][:] == 0][..., 0] / 255
    expected = -10 * np.log10(np.mean((images - originals) ** 2))
    assert metrics(tmp_path)["train"]["psnr"] == pytest.approx(expected, abs=0.01)


def test_samples_come_from_a_gaussian_fitted_to_the_codes(trained, tmp_path):
    sampler = ["--sampler", "gaussian", "--num_samples", 3000]
    evaluate("--checkpoint", trained, "--generate", *sampler, "--output_dir", tmp_path)
    reader = tf.train.load_checkpoint(str(trained / "model-300"))
    learned = reader.get_tensor("table/codes")
    with np.load(tmp_path / "generate_default.npz") as file:
        drawn = file["code"]
    inside = np.linalg.norm(drawn, axis=1) < 0.999  # the others were projected
    assert inside.mean() > 0.3
    np.testing.assert_allclose(drawn.mean(0), learned.mean(0), atol=0.03)
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(learned.T), atol=0.03)


def test_evaluations_repeat_and_follow_the_seed(trained, tmp_path):
    for folder in ("a", "b"):
        evaluate("--checkpoint", trained / "model-300", "--output_dir", tmp_path / folder)
    evaluate("--checkpoint", trained, "--output_dir", tmp_path / "c", "--seed", 1)
    a, b, c = (metrics(tmp_path / folder) for folder in "abc")
    assert a == {**b, "checkpoint": a["checkpoint"]}
    assert a["test"]["psnr"] != c["test"]["psnr"]
    assert a["train"] == c["train"]
    one, two, other = (np.load(tmp_path / folder / "generate_default.npz")["image"] for folder in "abc")
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, other)


def test_images_that_stay_in_the_file_give_the_same_evaluation(trained, tmp_path):
    held, streamed = tmp_path / "held", tmp_path / "streamed"
    evaluate("--checkpoint", trained, "--output_dir", held)
    log = evaluate("--checkpoint", trained, "--output_dir", streamed, "--memory_limit", "1K").stderr
    assert "stay in the file" in log
    assert metrics(held) == metrics(streamed)
    for picture in held.glob("*.png"):
        assert picture.read_bytes() == (streamed / picture.name).read_bytes()


def test_given_pairs_and_samplers(trained, tmp_path):
    evaluate("--checkpoint", trained, "--interpolate", "--pairs", "3,17", "5,9", "--output_dir", tmp_path)
    assert metrics(tmp_path)["interpolate"]["pairs"] == [[3, 17], [5, 9]]
    for sampler in ("diagonal", "unit", "kde"):
        log = evaluate("--checkpoint", trained, "--generate", "--sampler", sampler, "--output_dir", tmp_path).stderr
        results = metrics(tmp_path)["generate"]
        assert results["sampler"] == sampler
        assert results["near_memorising"] is None  # without a saved classifier
        assert "not measured in features" in log
        assert 0 <= results["memorisation_share"] <= 1
        assert 0 <= results["memorisation_share_held_out"] <= 1
        assert np.isfinite([results["log_likelihood"], results["energy_distance"], results["fitting_seconds"]]).all()
    assert "interpolate" in metrics(tmp_path)  # results of earlier tasks of the same checkpoint are kept


def test_the_default_sampler_is_that_of_the_run_and_its_fit_is_saved(trained, tmp_path):
    args = ["--checkpoint", trained, "--generate", "--output_dir", tmp_path]
    shutil.rmtree(trained / "samplers", ignore_errors=True)
    evaluate(*args)
    results = metrics(tmp_path)["generate"]
    assert (results["sampler"], results["components"]) == ("gmm", 32)  # one for every 50 of 1,617 codes
    assert glo.load(trained).settings.sampler == "gmm"
    with np.load(tmp_path / "generate_default.npz") as file:
        drawn = file["code"]
    saved = trained / "samplers" / "gmm-300.npz"
    with np.load(saved) as file:
        components = len(file["weights"])
    modified = saved.stat().st_mtime_ns
    evaluate(*args)
    assert saved.stat().st_mtime_ns == modified
    assert metrics(tmp_path)["generate"] == results
    with np.load(tmp_path / "generate_default.npz") as file:
        np.testing.assert_array_equal(drawn, file["code"])
    evaluate(*args, "--components", components + 1)
    with np.load(saved) as file:
        assert len(file["weights"]) == components + 1
    refused = call("evaler.py", *args, "--sampler", "flow", "--components", 3)
    assert_one_line_error(refused, "--components 3", "--sampler gmm", "flow")


def test_directions_tell_held_out_digits_apart_and_edits_turn_them_into_others(home, trained, tmp_path):
    evaluate("--checkpoint", trained, "--directions", "--num_fit", 180, "--output_dir", tmp_path)
    rows = metrics(tmp_path)["directions"]["of"]
    assert sorted(rows) == [str(digit) for digit in range(10)]
    assert min(row["balanced"] for row in rows.values()) > 0.8
    assert np.mean([row["balanced"] for row in rows.values()]) > 0.9
    evaluate("--checkpoint", trained, "--attributes", "0,4", "--strengths", "-1,0,3", "--output_dir", tmp_path)
    with np.load(tmp_path / "attributes_default.npz") as file:
        edited = file["edited"]
    with h5py.File(home / "datasets/digits/data.hdf5") as file:
        images, labels, train = file["image"][:], file["label"][:], file["split"][:] == 0
    classifier = KNeighborsClassifier(5).fit(images[train].reshape(-1, 64), labels[train])
    for digit, by_strength in zip((0, 4), edited, strict=True):
        _, unchanged, moved = (np.mean(classifier.predict(part.reshape(-1, 64)) == digit) for part in by_strength)
        assert unchanged < 0.5
        assert moved > 0.7


def test_existing_files_are_not_overwritten_without_force(trained, tmp_path):
    (tmp_path / "generate_default.png").write_text("mine")
    args = ["--checkpoint", trained, "--generate", "--output_dir", tmp_path, *FAST_FIT]
    assert_one_line_error(call("evaler.py", *args), "generate_default.png", "--force")
    assert (tmp_path / "generate_default.png").read_text() == "mine"
    (tmp_path / "metrics.json").write_text("mine too")
    assert_one_line_error(call("evaler.py", *args), "--force")
    assert_ok(call("evaler.py", *args, "--force"))
    assert (tmp_path / "generate_default.png").read_bytes().startswith(b"\x89PNG")


def test_no_held_out_images(home, trained):
    images, codes = samples(12, (8, 8, 1), 3)
    write_flat(home / "datasets/ALL", images, codes)
    train = ["--dataset", "ALL", "--test_fraction", 0, "--max_steps", 3, "--channels", 4]
    assert_ok(call("trainer.py", *SAME, *train))
    assert "no held-out images" in evaluate("--dataset", "ALL").stderr
    (out,) = home.glob("train_dir/default-ALL_*/eval-3")
    assert metrics(out)["train"]["n"] == 12
    assert "test" not in metrics(out)


def test_the_newest_run_with_a_checkpoint_is_evaluated(home, trained):
    empty = home / "train_dir/default-DIGITS_lr_0.01-20990101-000000"
    empty.mkdir()
    assert str(trained) in evaluate("--dataset", "DIGITS", "--generate").stderr
    copy = home / "train_dir/later-DIGITS_lr_0.01-20980101-000000"
    shutil.copytree(home / trained, copy)
    assert copy.name in evaluate("--dataset", "digits", "--generate").stderr
    shutil.rmtree(copy)
    empty.rmdir()


def test_bad_input_gets_one_line(home, trained, tmp_path):
    images, codes = samples(1797, (8, 8, 1), 16)
    write_flat(home / "datasets/OTHER", images, codes)
    assert_one_line_error(call("evaler.py", "--checkpoint", trained, "--dataset", "OTHER"), "fingerprint", "model-300")
    assert_one_line_error(
        call("evaler.py", "--dataset", "OTHER"), "no run of OTHER", "python trainer.py --dataset OTHER"
    )
    assert_one_line_error(call("evaler.py"), "--checkpoint")
    assert_one_line_error(call("evaler.py", "--checkpoint", "nowhere/model-3"), "nowhere/model-3")
    assert_one_line_error(call("evaler.py", "--checkpoint", trained / "model-7"), "has steps 300")
    assert_one_line_error(call("evaler.py", "--checkpoint", trained, "--sampler", "gausian"), "did you mean gaussian")
    assert_one_line_error(call("evaler.py", "--checkpoint", trained, "--num_samples", 10**9), "lower --num_samples")
    assert_one_line_error(call("evaler.py", "--checkpoint", trained, "--pairs", "3-17"), "--pairs")
    beyond = call("evaler.py", "--checkpoint", trained, "--interpolate", "--pairs", "1,5000")
    assert_one_line_error(beyond, "5000", "0 to 1616")
    (tmp_path / "file").touch()
    blocked = call("evaler.py", "--checkpoint", trained, "--generate", "--output_dir", tmp_path / "file")
    assert_one_line_error(blocked, "cannot write")
    copy = tmp_path / "copy"
    shutil.copytree(home / trained, copy)
    next(copy.glob("model-300.data*")).unlink()
    assert_one_line_error(call("evaler.py", "--checkpoint", copy), "model-300.data", "is missing")
