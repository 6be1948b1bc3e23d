"""trainer.py --encoder, evaler.py --encode and --start, and encoders from Python."""

import shutil
import signal
import subprocess
import sys

import h5py
import numpy as np
import pytest
from PIL import Image

import glo
from glo.inference import fitting, quasi_newton
from glo.inference.verdict import LIKE, UNLIKE
from glo.runtime import memory
from tests.runs import SAME, metrics
from tests.support import ROOT, assert_ok, assert_one_line_error, call


@pytest.fixture(scope="module")
def home(digits, tmp_path_factory):
    """A copy of the folder with digits and their run, with an encoder."""
    home = shutil.copytree(digits, tmp_path_factory.mktemp("encoder") / "home")
    (run,) = home.glob("train_dir/*")
    assert_ok(call("trainer.py", "--checkpoint", run, "--encoder", "--data_dir", home / "datasets"))
    return home


@pytest.fixture
def folder(home, monkeypatch):
    """The run folder; its home is the current directory."""
    monkeypatch.chdir(home)
    (folder,) = home.glob("train_dir/*")
    return folder


@pytest.fixture
def bare(folder, tmp_path, monkeypatch):
    """A copy of the run folder without the encoder."""
    copy = shutil.copytree(folder, tmp_path / folder.name)
    (copy / "encoder-300.npz").unlink()
    return copy


def held_out(home, n=40):
    with h5py.File(home / "datasets/digits/data.hdf5") as file:
        return file["image"][:][file["split"][:] == 1][:n]


def error(run, images, codes):
    return np.square(run.decode(codes).astype(float) - images).mean()


def test_fast_codes_are_better_than_those_of_the_encoder_alone(home, folder):
    run, images = glo.load(folder), held_out(home)
    alone, fast = run.encoder.codes(images), run.encode(images, fast=True)
    mean = np.repeat(run.codes.mean(axis=0)[None], len(images), axis=0)
    assert error(run, images, alone) < 0.7 * error(run, images, mean)
    assert error(run, images, fast) < 0.7 * error(run, images, alone)
    assert error(run, images, fast) < 1.1 * error(run, images, run.encode(images))
    np.testing.assert_array_equal(run.encode(images, fast=True), fast)
    assert np.linalg.norm(fast, axis=1).max() <= 1 + 1e-6


def test_verdicts_tell_digits_from_noise(home, folder):
    run, images = glo.load(folder), held_out(home)
    noise = np.random.default_rng(0).integers(0, 256, images.shape, np.uint8)
    assert run.verdict(images, run.encode(images, fast=True)).count(LIKE) > 0.9 * len(images)
    assert run.verdict(noise, run.encode(noise, fast=True)) == [UNLIKE] * len(noise)


def test_starts_of_fitting(home, folder, monkeypatch):
    run, images = glo.load(folder), held_out(home, 3)
    chosen = []
    monkeypatch.setattr(fitting, "fit", lambda *args: chosen.append(args[4]))
    for start in ("encoder", "nearest", "both", None):
        run.fitter.fit(images, None, 1, start=start)
    encoder, nearest, both, default = chosen
    np.testing.assert_array_equal(encoder[:, 0], run.encoder.codes(images))
    assert nearest.shape == (3, 1 + fitting.NEAREST, 16)
    np.testing.assert_array_equal(both, np.concatenate([nearest, encoder], axis=1))
    np.testing.assert_array_equal(default, both)
    run.fitter.fit(images, None, 1, hole=np.zeros((8, 8, 1), bool))
    np.testing.assert_array_equal(chosen[-1], nearest)  # an encoder would see the pixels in the hole


def test_evaler_encodes_held_out_images_and_pictures(home, folder, tmp_path):
    assert_ok(call("evaler.py", "--dataset", "DIGITS", "--encode", "--num_fit", 30))
    result = metrics(folder / "eval-300")["encode"]
    assert (result["n"], result["steps"]) == (30, quasi_newton.STEPS)
    assert result["psnr"] > result["psnr_encoder"] + 1
    assert sum(result["verdicts"].values()) == 30
    assert Image.open(folder / "eval-300/encode_default.png").size[0] > 300
    for index, image in enumerate(held_out(home, 2)):
        Image.fromarray(image[..., 0]).save(tmp_path / f"{index}.png")
    noise = np.random.default_rng(0).integers(0, 256, (8, 8), np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    evaluated = call("evaler.py", "--dataset", "DIGITS", "--encode", "--images", tmp_path, "--prefix", "mine")
    assert f"noise.png: {UNLIKE}" in assert_ok(evaluated)
    files = metrics(folder / "eval-300")["encode"]["files"]
    assert [files[name]["verdict"] for name in ("0.png", "1.png", "noise.png")] == [LIKE, LIKE, UNLIKE]
    with np.load(folder / "eval-300/encode_mine.npz") as file:
        assert file["name"].tolist() == ["0.png", "1.png", "noise.png"]
        np.testing.assert_array_equal(file["reconstruction"], glo.load(folder).decode(file["code"]))
    assert not (folder / "eval-300/images_mine.png").exists()  # --encode takes the place of the task of --images


def test_pictures_without_content_are_refused(folder, tmp_path):
    Image.fromarray(np.full((9, 9, 3), 70, np.uint8)).save(tmp_path / "grey.png")
    refused = call("evaler.py", "--dataset", "DIGITS", "--encode", "--images", tmp_path)
    assert_one_line_error(refused, "grey.png", "same colour")


def test_without_an_encoder(home, bare):
    for flags in (["--encode"], ["--reconstruct", "--start", "encoder"], ["--reconstruct", "--start", "both"]):
        refused = call("evaler.py", "--checkpoint", bare, *flags)
        assert_one_line_error(refused, "has no encoder", f"python trainer.py --checkpoint {bare}/model-300 --encoder")
    run = glo.load(bare)
    assert run.encoder is None
    with pytest.raises(glo.runtime.errors.UserError, match="has no encoder"):
        run.encode(held_out(home, 1), fast=True)
    assert run.encode(held_out(home, 1), steps=2).shape == (1, 16)


def test_an_encoder_of_another_checkpoint_is_refused(home, folder, bare):
    shutil.copy(folder / "encoder-300.npz", bare)
    other = ["--dataset", "DIGITS", "--channels", 4, "--max_steps", 4, "--prefix", "other", "--train_dir", bare.parent]
    assert_ok(call("trainer.py", *SAME, *other))
    (run,) = bare.parent.glob("other-*")
    shutil.copy(folder / "encoder-300.npz", run / "encoder-4.npz")
    for command in (["evaler.py", "--encode"], ["trainer.py", "--encoder"]):
        refused = call(command[0], "--checkpoint", run, *command[1:])
        assert_one_line_error(refused, "encoder-4.npz is the encoder of another checkpoint", "model-4", "remove it")
    assert glo.load(bare).encode(held_out(home, 1), fast=True).shape == (1, 16)  # that of a copied run is its own


def test_an_encoder_that_does_not_fit_into_memory_is_refused(home, bare, monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: 1 << 20)
    command = ("trainer.py", "--checkpoint", bare, "--encoder", "--data_dir", home / "datasets")
    assert_one_line_error(call(*command), "the encoder would take", "of memory", "use a larger machine")
    assert not list(bare.glob("encoder-*"))


@pytest.mark.parametrize(
    ("flags", "fragments"),
    [
        (["--encoder"], ["--encoder needs a finished run", "--checkpoint"]),
        (["--encoder", "--dataset", "DIGITS"], ["--checkpoint"]),
        (["--encoder", "--checkpoint", "nowhere"], ["no checkpoint nowhere"]),
        (["--encoder", "--checkpoint", "RUN", "--alpha", 3], ["--alpha has no effect with --encoder"]),
    ],
)
def test_flags_that_do_not_suit_encoders_are_refused(folder, flags, fragments):
    flags = [folder if flag == "RUN" else flag for flag in flags]
    assert_one_line_error(call("trainer.py", *flags), *fragments)


@pytest.mark.parametrize(
    ("flags", "fragments"),
    [
        (["--encode", "--denoise", 20], ["--encode", "--denoise"]),
        (["--inpaint", "mask.png", "--start", "both"], ["--inpaint", "--start both"]),
        (["--reconstruct", "--start", "encodr"], ["did you mean encoder?"]),
    ],
)
def test_tasks_that_exclude_each_other(folder, flags, fragments):
    assert_one_line_error(call("evaler.py", "--dataset", "DIGITS", *flags), *fragments)


def test_an_interrupted_training_is_saved_and_continued(home, folder, bare, monkeypatch):
    command = [sys.executable, "-c", PROGRAM, "--checkpoint", bare, "--encoder", "--data_dir", home / "datasets"]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    _, log = process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGINT, log
    assert f"continue with: python trainer.py --checkpoint {bare}/model-300 --encoder" in log
    assert "trained for" in assert_ok(call("evaler.py", "--checkpoint", bare, "--encode", "--num_fit", 2))
    assert "steps 5 to 75 of 75" in assert_ok(call("trainer.py", "--checkpoint", bare, "--encoder"))
    with np.load(bare / "encoder-300.npz") as continued, np.load(folder / "encoder-300.npz") as whole:
        assert set(continued.files) == set(whole.files)
        for name in whole.files:
            np.testing.assert_array_equal(continued[name], whole[name])


# Runs the command, and sends Ctrl-C to it in its fifth step.
PROGRAM = """
import os, signal, sys
import trainer
from glo.runtime import errors
from glo.training.encoder import EncoderTraining
update = EncoderTraining.update
def interrupted(self, *args):
    if self.step == 4:
        os.kill(os.getpid(), signal.SIGINT)
    return update(self, *args)
EncoderTraining.update = interrupted
sys.exit(errors.run(trainer.main))
"""
