"""trainer.py --checkpoint: resumed runs equal uninterrupted ones, and new runs can start from checkpoints."""

import json
import os
import shutil

import numpy as np
import pytest
import tensorflow as tf
import yaml

from glo.data import batches
from glo.runtime import device
from glo.training import manifest
from tests.runs import SAME, assert_same, evaluate, metrics, newest, records, tensors, train
from tests.support import assert_ok, assert_one_line_error, call, samples, write_flat


@pytest.fixture(scope="module")
def eight_steps(toy):
    """A run of 8 steps with checkpoints after 4 and 8 steps."""
    folders = ["--data_dir", toy / "datasets", "--train_dir", toy / "train_dir"]
    short = [*SAME, "--save_every", 4, "--max_steps", 8]
    assert_ok(call("trainer.py", "--dataset", "TOY", "--prefix", "eight", *short, *folders))
    return newest(toy, "eight")


@pytest.fixture
def cut(eight_steps, home, request):
    """A copy of the run of 8 steps, which only this test uses."""
    copy = home / "train_dir" / f"{request.node.name}-TOY_lr_0.005-20260101-120000"
    return shutil.copytree(eight_steps, copy)


def test_resuming_is_exact_in_the_middle_of_an_epoch_and_of_refinement(home):
    """With noise, an average and a partial batch: 12 training steps and 4 of refinement, saved after 10, 14 and 16."""
    noisy = ["--code_noise", 0.1, "--noise_schedule", "linear", "--ema", 0.9, "--weight_decay", 0.01]
    common = ["--dataset", "TOY", *noisy, "--refine_steps", 3, "--epochs", 3, "--max_samples", 30, "--prefix"]
    train(*common, "refined")
    train(*common, "parts", "--max_steps", 10)
    train("--checkpoint", newest(home, "parts"), "--max_steps", 14)
    train("--checkpoint", newest(home, "parts"), "--max_steps", 16)
    whole = newest(home, "refined") / "model-16"
    assert_same(whole, newest(home, "parts") / "model-16")
    generator = [name for name in tensors(whole) if name.startswith("generator/")]
    before = tensors(newest(home, "parts") / "model-14")
    assert generator
    for name in generator:
        np.testing.assert_array_equal(tensors(whole)[name], before[name])
    assert not np.array_equal(tensors(whole)["table/codes"], before["table/codes"])


def test_resuming_is_exact_with_alternating_updates(home):
    common = ["--dataset", "TOY", "--update", "alternate", "--max_samples", 30, "--prefix"]
    train(*common, "whole", "--max_steps", 14)
    train(*common, "halves", "--max_steps", 7)
    resumed = newest(home, "halves")
    train("--checkpoint", resumed, "--max_steps", 14)
    assert newest(home, "halves") == resumed
    assert_same(newest(home, "whole") / "model-14", resumed / "model-14")
    steps = [record["step"] for record in records(resumed)]
    assert steps == sorted(steps)


def test_altered_copies_are_used_only_for_training(home):
    """32 images, 64 copies, batches of 8: 24 steps in 2 epochs, and 4 of refinement, which uses no copies."""
    common = ["--dataset", "TOY", "--augment_to", 90, "--augment", "move,flip", "--epochs", 2, "--refine_steps", 2]
    common += ["--prefix"]
    summary = train(*common, "copies", "--dry_run").stdout
    assert "96 codes of 6" in summary
    assert "12 per epoch, 28 in total, schedule over 24, 4 more for codes only" in summary
    train(*common, "copies")
    whole = newest(home, "copies") / "model-28"
    assert tensors(whole)["table/codes"].shape == (96, 6)
    assert (tensors(whole)["table/visits"] == 2).all()
    train(*common, "cut-copies", "--max_steps", 13)
    train("--checkpoint", newest(home, "cut-copies"), "--save_every", 26, "--max_steps", 28)
    assert_same(whole, newest(home, "cut-copies") / "model-28")
    before, after = (tensors(newest(home, "cut-copies") / f"model-{step}")["table/codes"] for step in (26, 28))
    np.testing.assert_array_equal(after[32:], before[32:])
    assert (after[:32] != before[:32]).any(axis=1).sum() == 16  # the last two batches of refinement
    assert_one_line_error(train("--checkpoint", whole, "--augment_to", 99, expect_ok=False), "augment_to 90, not 99")
    assert_one_line_error(train(*common, "x", "--augment", "blur", expect_ok=False), "--augment", "move,color")
    evaluate("--checkpoint", whole, "--reconstruct", "--generate", "--num_fit", 3, "--fit_steps", 2)
    assert metrics(whole.parent / "eval-28")["train"]["n"] == 32


def test_streaming_from_the_file_equals_training_in_memory(home, monkeypatch):
    """An epoch has several windows; the run is resumed in the middle of one, and then with another memory limit."""
    monkeypatch.setattr(batches, "BLOCK_BYTES", 3 * 64)
    monkeypatch.setattr(batches, "WINDOW_BYTES", 16 * 64)
    train("--dataset", "TOY", "--prefix", "held", "--max_steps", 11)
    log = assert_ok(train("--dataset", "TOY", "--prefix", "streamed", "--memory_limit", "1K", "--max_steps", 7))
    assert "stay in the file" in log
    assert_ok(train("--checkpoint", newest(home, "streamed"), "--max_steps", 9))
    result = train("--checkpoint", newest(home, "streamed"), "--memory_limit", "1M", "--max_steps", 11)
    assert "stay in the file" not in result.stderr
    assert_same(newest(home, "held") / "model-11", newest(home, "streamed") / "model-11")


def test_a_run_that_was_cut_short_is_resumed_to_new_epochs(cut):
    train("--checkpoint", cut, "--epochs", 3)
    assert (cut / "model-12.json").is_file()  # 3 epochs of 4 steps
    (cut.parent / "longer.yaml").write_text("epochs: 4")
    train("--checkpoint", cut, "--config", cut.parent / "longer.yaml")
    assert (cut / "model-16.json").is_file()


def test_a_checkpoint_starts_a_new_run_with_new_settings(eight_steps, home):
    before = sorted(path.name for path in eight_steps.iterdir())
    train("--checkpoint", eight_steps / "model-4", "--prefix", "second", "--alpha", 2, "--max_steps", 6)
    second = newest(home, "second")
    assert sorted(path.name for path in eight_steps.iterdir()) == before
    assert yaml.safe_load((second / "config.yaml").read_text())["alpha"] == 2
    assert (second / "model-6.json").is_file()


def test_resuming_refuses_changed_settings(eight_steps, home):
    for args, fragments in (
        (["--alpha", 3], ["alpha 5.0, not 3.0", "model-8"]),
        (["--max_steps", 8], ["--max_steps"]),
        (["--dataset", "OTHER"], ["TOY", "OTHER"]),
        (["--ema", 0.9, "--max_steps", 9], ["ema 0.0, not 0.9"]),
    ):
        assert_one_line_error(train("--checkpoint", eight_steps, *args, expect_ok=False), *fragments)
    result = train("--checkpoint", eight_steps / "model-8", "--generator", "resize_conv", expect_ok=False)
    assert_one_line_error(result, "generator deconv, not resize_conv")


def test_a_changed_or_reordered_dataset_is_refused(cut, tmp_path):
    images, codes = samples(42, (8, 8, 1), 6)
    split = (np.arange(42) >= 32).astype(np.uint8)
    flags = ["--max_steps", 9, "--data_dir", tmp_path]
    swapped = images.copy()
    swapped[[0, 1]] = images[[1, 0]]
    for changed, difference in (
        ({"images": swapped}, "fingerprint"),
        ({"codes": codes[:, :5]}, "code dimension"),
        ({"split": np.roll(split, 1)}, "training rows"),
    ):
        write_flat(tmp_path / "TOY", **{"images": images, "codes": codes, "split": split, **changed})
        assert_one_line_error(train("--checkpoint", cut, *flags, expect_ok=False), difference, "model-8")
    write_flat(tmp_path / "TOY", images, codes, split=split)
    train("--checkpoint", cut, *flags)  # the same data in another folder


def test_a_new_run_may_change_optimizers_and_average_and_reports_what_starts_afresh(eight_steps, home, tmp_path):
    start = eight_steps / "model-8"
    changes = ["--code_optimizer", "sgd", "--generator_optimizer", "sgd", "--ema", 0.9]
    log = train("--checkpoint", start, "--prefix", "changed", *changes, "--max_steps", 9).stderr
    for part in ("the state of the generator's optimizer", "the state of the codes' optimizer", "the average of the"):
        assert part in log
    changed = newest(home, "changed") / "model-9"
    assert not any(name.startswith("table/visits") for name in tensors(changed))
    # The average starts at the weights of the checkpoint and not at random ones: after one step it is near them.
    kernel, average = tensors(start)["generator/project/kernel"], tensors(changed)["average/project/kernel"]
    assert np.abs(kernel - average).max() < 0.05 * np.abs(kernel).max()
    # Changed back: the state of the optimizer is new, and no state of another optimizer is left.
    log = train("--checkpoint", changed, "--prefix", "back", "--code_optimizer", "adam", "--max_steps", 10).stderr
    assert "the state of the codes' optimizer" in log
    assert (tensors(newest(home, "back") / "model-10")["table/visits"] <= 1).all()
    # A checkpoint that cannot be restored leaves no run folder behind.
    before = set((home / "train_dir").iterdir())
    damaged = shutil.copytree(eight_steps, tmp_path / eight_steps.name)
    (damaged / "model-8.index").write_bytes(b"no index")
    refused = train("--checkpoint", damaged / "model-8", "--prefix", "none", "--max_steps", 9, expect_ok=False)
    assert_one_line_error(refused, "model-8")
    assert set((home / "train_dir").iterdir()) == before


def test_the_numerics_are_recorded_and_a_change_is_reported(cut):
    path = cut / "model-8.json"
    content = json.loads(path.read_text())
    enabled = os.environ[device.ONEDNN] != "0"
    assert content["numerics"] == {"tensorflow": tf.__version__, "oneDNN": enabled}
    path.write_text(json.dumps({**content, "numerics": {"tensorflow": tf.__version__, "oneDNN": not enabled}}))
    assert "last bits may differ" in train("--checkpoint", cut, "--max_steps", 9).stderr


def test_the_precision_chosen_by_auto_is_recorded_and_kept(home, monkeypatch):
    from glo.model import precision

    monkeypatch.setattr(device, "has_bfloat16", lambda: True)
    monkeypatch.setattr(precision, "measure", lambda *_: {"float32": 1.0, "bfloat16": 2.0})
    result = train("--dataset", "TOY", "--prefix", "auto", "--precision", "auto", "--max_steps", 2)
    assert "precision auto: bfloat16" in result.stderr
    run = newest(home, "auto")
    assert yaml.safe_load((run / "config.yaml").read_text())["precision"] == "bfloat16"
    # Another machine would choose float32, but the run keeps its precision.
    monkeypatch.setattr(precision, "measure", lambda *_: {"float32": 2.0, "bfloat16": 1.0})
    train("--checkpoint", run, "--precision", "auto", "--max_steps", 4)
    assert manifest.read(run / "model-4").settings["precision"] == "bfloat16"
    refused = train("--checkpoint", run, "--precision", "float32", "--max_steps", 9, expect_ok=False)
    assert_one_line_error(refused, "precision")


def test_older_checkpoints_without_a_precision_are_float32(eight_steps):
    older = manifest.read(eight_steps / "model-8")
    del older.settings["precision"]
    assert older.resolved(eight_steps / "model-8").precision == "float32"
