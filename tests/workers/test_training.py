"""Training on several workers as processes: equal to one process, exact, and resumed by any number of workers."""

import json
import re
import shutil

import numpy as np
import pytest

import glo
from glo.training import manifest
from tests.runs import assert_same, evaluate, newest, records
from tests.workers import reference
from tests.workers.conftest import STEPS
from tests.workers.processes import train

pytestmark = pytest.mark.slow
SGD = ["--generator_optimizer", "sgd", "--code_optimizer", "sgd", "--schedule", "constant", "--learning_rate", 0.05]
STREAMED = ["--prefix", "streamed", "--workers", 2, "--max_steps", STEPS, "--memory_limit", 0]


@pytest.mark.parametrize(
    ("workers", "settings"),
    [
        (2, ["--update", "alternate", "--code_noise", 0.1, "--film", 4, "--code_decay", 0.01]),
        pytest.param(4, ["--refine_steps", 2, "--epochs", 4, "--clip_norm", 0.05], marks=pytest.mark.workers),
    ],
    ids=["2", "4"],
)
def test_workers_equal_one_process_with_the_same_batches(home, workers, settings):
    prefix, steps = f"equal{workers}", 25
    sgd = [*SGD, "--alpha", 0.5, "--batch_norm", "synced"]
    train(home, "--prefix", prefix, "--workers", workers, "--max_steps", steps, *sgd, *settings)
    checkpoint = newest(home, prefix) / f"model-{steps}"
    together, alone = reference.restored(checkpoint), reference.trained(home / "datasets", checkpoint, workers)
    untrained = reference.trained(home / "datasets", checkpoint, workers, steps=0)
    moved = reference.differences(alone, untrained)
    assert moved["generator/project/kernel"] > 1e-3
    assert moved["table/codes"] > 1e-3
    assert max(reference.differences(together, alone).values()) < 1e-5


def test_a_run_writes_the_files_of_a_run_once(home, whole):
    saved = manifest.read(whole / f"model-{STEPS}")
    assert saved.shards == 2
    steps = [record["step"] for record in records(whole) if "loss" in record]
    assert steps == [5, 10, 15, 20, STEPS]
    assert [record["images"] for record in records(whole) if "loss" in record] == [33, 66, 99, 132, 33 * 4 + 32]
    losses = [record["loss"] for record in records(whole) if "loss" in record]
    assert losses[-1] < losses[0]
    assert all("train_psnr" in record for record in records(whole) if "loss" not in record)
    assert len(list(whole.glob("events.out.tfevents.*"))) == 1
    assert (whole / "training.gif").is_file()
    assert "workers" not in (whole / "config.yaml").read_text()
    log = (whole / "log.txt").read_text()
    assert log.count("done: ") == 1


@pytest.fixture(scope="module")
def log_of_streamed(home):
    """What two workers print whose images stay in the file, and whose precision is chosen."""
    return train(home, *STREAMED, "--precision", "auto")


def precision(run):
    return manifest.read(run / f"model-{STEPS}").settings["precision"]


def test_the_first_worker_decides_for_all_and_says_that_the_network_must_be_private(home, log_of_streamed):
    assert log_of_streamed.count("listen on all network interfaces, without authentication or encryption") == 1
    (chosen,) = re.findall(r"precision auto: (float32|bfloat16) \(", log_of_streamed)
    assert precision(newest(home, "streamed")) == chosen


def test_a_sharded_checkpoint_is_read_as_one(home, whole, monkeypatch):
    monkeypatch.chdir(home)
    run = glo.load(whole)
    assert run.codes.shape == (33, 6)
    initial = run.dataset.train_codes[:]
    assert np.abs(run.codes - initial).max() > 0
    distances = np.linalg.norm(run.codes[:, None] - initial[None], axis=2)
    np.testing.assert_array_equal(distances.argmin(axis=1), np.arange(33))  # each code is near its own initial one
    evaluate("--checkpoint", whole, "--reconstruct", "--generate")
    reported = json.loads((whole / f"eval-{STEPS}/metrics.json").read_text())
    assert reported["train"]["psnr"] == pytest.approx(records(whole)[-1]["train_psnr"], abs=0.01)


def test_images_that_stay_in_the_file_change_nothing(home, whole, log_of_streamed):
    if precision(newest(home, "streamed")) != precision(whole):
        train(home, *STREAMED)
    for part in ("", ".codes-00000-of-00002", ".codes-00001-of-00002"):
        assert_same(whole / f"model-{STEPS}{part}", newest(home, "streamed") / f"model-{STEPS}{part}")


@pytest.mark.workers
def test_another_number_of_workers_continues(home, whole):
    run = home / "train_dir" / "moved-TOY_lr_0.005-20260101-000000"
    shutil.copytree(whole, run)
    for workers, end in ((["--workers", 3], 30), ([], 40)):  # 30 and 40 steps are whole epochs
        train(home, "--checkpoint", run, *workers, "--max_steps", end)
        assert manifest.read(run / f"model-{end}").shards == (3 if workers else 1)
    before, after = reference.restored(whole / f"model-{STEPS}"), reference.restored(run / "model-40")
    moved = np.linalg.norm(before.table.codes.numpy() - after.table.codes.numpy(), axis=1)
    assert moved.min() > 0
    assert moved.max() < 0.1
    visits = after.table.visits.numpy()
    assert visits.sum() == 33 * 8
    assert set(visits) <= {7, 8, 9}  # another number of workers draws the rest of an epoch in another order
    assert [record["step"] for record in records(run) if "loss" in record] == [*range(5, 21, 5), STEPS, 25, 30, 35, 40]


@pytest.mark.workers
def test_all_else_that_training_offers(home):
    """Altered copies, refinement, the average of weights, bfloat16 and a compiled step, which is exact when resumed."""
    more = [
        "--workers", 2, "--augment_to", 60, "--refine_steps", 2, "--epochs", 2, "--ema", 0.9, "--precision", "bfloat16",
        "--jit", "on", "--dump_result", "--code_noise", 0.1, "--film", 4,
    ]  # fmt: skip
    train(home, "--prefix", "all", *more)
    run = newest(home, "all")
    end = 2 * 9 + 5  # two epochs of 66 images, then one of 33
    restored = reference.restored(run / f"model-{end}")
    assert restored.table.codes.shape == (66, 6)
    assert (restored.table.visits.numpy() == 2).all()
    assert (run / f"dump_result_{end}.hdf5").is_file()
    train(home, "--prefix", "part", *more, "--max_steps", 7)
    train(home, "--checkpoint", newest(home, "part"), *more, "--max_steps", end)
    for part in ("", ".codes-00000-of-00002", ".codes-00001-of-00002"):
        assert_same(run / f"model-{end}{part}", newest(home, "part") / f"model-{end}{part}")
