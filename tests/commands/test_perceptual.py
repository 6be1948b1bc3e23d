"""--loss perceptual from the command line: training, resuming, encoders and evaluation with the same network."""

import hashlib
import json

import numpy as np
import pytest

import glo
from glo.features import trained, weights
from glo.runtime.errors import UserError
from glo.settings import TrainSettings
from glo.training import resume
from tests.runs import assert_same, evaluate, metrics, newest, records, train
from tests.support import assert_ok, assert_one_line_error, call, load, samples

TOY = ["--dataset", "TOY", "--loss", "mse+0.1*perceptual", "--epochs", 3]


@pytest.fixture(autouse=True)
def few_steps(monkeypatch):
    monkeypatch.setattr(trained, "MIN_STEPS", 4)


def test_a_run_is_resumed_and_evaluated_with_its_network(home):
    train(*TOY, "--prefix", "whole")
    train(*TOY, "--prefix", "parts", "--max_steps", 5)
    whole, parts = newest(home, "whole"), newest(home, "parts")
    (file,) = (home / "datasets/TOY").glob("perceptual-*.npz")
    assert_ok(call("trainer.py", "--checkpoint", parts, "--max_steps", 12))
    assert_same(whole / "model-12", parts / "model-12")
    assert any("loss" in record for record in records(whole))
    evaluate("--checkpoint", whole, "--reconstruct")
    assert metrics(whole / "eval-12")["test"]["n"] == 10

    content = file.read_bytes()
    with np.load(file) as saved:
        arrays = [saved[f"arr_{i}"] for i in range(sum(name.startswith("arr_") for name in saved))]
        about = json.loads(str(saved["about"]))
    arrays[0] = -arrays[0]
    about["sha256"] = weights.sha256(arrays)
    weights.write(file, arrays, about)
    for result in (
        call("trainer.py", "--checkpoint", parts, "--max_steps", 13),
        call("evaler.py", "--checkpoint", whole, "--reconstruct"),
        call("trainer.py", "--checkpoint", whole, "--encoder"),
    ):
        assert_one_line_error(result, "another network", about["sha256"][:12], "perceptual-*.npz")
    file.write_bytes(content)
    (home / "datasets").rename(home / "elsewhere")
    with pytest.raises(UserError, match="needs the dataset that the run was trained on"):
        glo.load(whole).encode(samples(2, (8, 8, 1))[0], steps=2)
    (home / "elsewhere").rename(home / "datasets")


def test_errors_before_training(home):
    def refused(loss, *fragments, flags=()):
        assert_one_line_error(train("--dataset", "TOY", "--loss", loss, *flags, expect_ok=False), *fragments)

    (home / "w.npz").write_bytes(b"weights")
    digest = hashlib.sha256(b"weights").hexdigest()
    refused("perceptual(network=w.npz)", "w.npz also needs sha256=HEX", digest)
    refused(f"perceptual(network=w.npz,sha256={'0' * 64})", "w.npz has the SHA-256")
    refused("perceptual(network=none.h5)", "none.h5", "No such file")
    refused("perceptual(network=vgg19)", "network of perceptual must look like classifier|vgg16|FILE.npz, not 'vgg19'")
    assert not list(home.glob("train_dir/default-*"))
    settings = TrainSettings(dataset="TOY", loss="mse+perceptual")
    with pytest.raises(UserError, match="--loss perceptual trains with one worker only: drop --workers"):
        resume.check(resume.Plan(settings), load("datasets", "TOY"), 10, workers=2)
