"""trainer.py end to end: runs, resuming, interruption, refusals."""

import dataclasses
import json
import shutil
import signal
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest
import tensorflow as tf
import yaml
from PIL import Image

from glo import settings
from glo.data import batches
from glo.training import manifest
from tests.support import ROOT, assert_ok, assert_one_line_error, call, run, samples, write_flat, write_grouped

# What decides the numbers. Not --precision auto, the recipes' own: its timing may decide otherwise from run to run.
SAME = ["--precision", "float32", "--channels", "4", "--batch_size", "8"]
FAST = [*SAME, "--log_every", 5, "--save_every", 20]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with datasets/TOY: 42 images 8x8, of which 32 are trained on."""
    home = tmp_path_factory.mktemp("home")
    images, codes = samples(42, (8, 8, 1), 6)
    write_flat(home / "datasets/TOY", images, codes, split=(np.arange(42) >= 32).astype(np.uint8))
    return home


@pytest.fixture(autouse=True)
def _in_home(home, monkeypatch):
    monkeypatch.chdir(home)


def train(*args, expect_ok=True):
    result = call("trainer.py", *FAST, *args)
    if expect_ok:
        assert_ok(result)
    return result


def newest(home, prefix):
    return max((home / "train_dir").glob(f"{prefix}-*"), key=lambda path: path.stat().st_mtime)


def tensors(prefix):
    """All values of a checkpoint by name, read with TensorFlow's own reader."""
    reader = tf.train.load_checkpoint(str(prefix))
    names = set(reader.get_variable_to_shape_map())
    return {name: reader.get_tensor(name) for name in names}


def assert_same(a, b):
    a, b = tensors(a), tensors(b)
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)


def test_a_run_as_a_process_leaves_everything_it_promises(home):
    result = run(
        "trainer.py", "--dataset", "TOY", "--prefix", "full", "--max_steps", 50, *FAST, "--dump_result", cwd=home
    )
    log = assert_ok(result)
    folder = newest(home, "full")
    assert folder.name.startswith("full-TOY_lr_0.005-")
    assert f"python evaler.py --dataset TOY --checkpoint train_dir/{folder.name}" in log
    assert "train PSNR" in log
    records = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    losses = [r["loss"] for r in records if "loss" in r]
    assert len(losses) == 10
    assert losses[-1] < losses[0]  # noise images; how far real ones get is tested with evaler.py
    assert [r["step"] for r in records if "loss" in r] == list(range(5, 51, 5))
    assert all(r["images_per_second"] > 0 for r in records if "loss" in r)
    assert {"train_psnr", "heldout_psnr"} <= records[-1].keys()
    assert records[-1]["images"] == 12 * 32 + 2 * 8
    assert sorted(r["seconds"] for r in records) == [r["seconds"] for r in records]
    assert yaml.safe_load((folder / "config.yaml").read_text())["channels"] == 4
    assert tf.train.latest_checkpoint(str(folder)) == str(folder / "model-50")
    assert sorted(p.name for p in folder.glob("*.json")) == ["model-20.json", "model-40.json", "model-50.json"]
    assert len(list((folder / "reconstructions").glob("*.png"))) == 13  # 12 whole epochs of 4 steps, and half of one
    assert Image.open(folder / "training.gif").n_frames == 13
    assert Image.open(folder / "loss.png").size[0] > 300
    assert list(folder.glob("events.out.tfevents.*"))
    assert "50 steps" in (folder / "log.txt").read_text()
    with h5py.File(folder / "dump_result_40.hdf5") as dump:
        assert dump["image"].shape == dump["reconstruction"].shape == (8, 8, 8, 1)
        assert dump["image"].dtype == dump["reconstruction"].dtype == np.uint8
        with h5py.File(home / "datasets/TOY/data.hdf5") as file:
            np.testing.assert_array_equal(dump["image"], file["image"][:][dump["row"][:]])


def test_the_dataset_file_is_never_written(home):
    path = home / "datasets/TOY/data.hdf5"
    before = path.read_bytes()
    train("--dataset", "TOY", "--max_steps", 5)
    assert path.read_bytes() == before


def test_learned_codes_are_those_of_training_rows_only(home):
    train("--dataset", "TOY", "--prefix", "rows", "--max_steps", 4)
    codes = tensors(newest(home, "rows") / "model-4")["table/codes"]
    assert codes.shape == (32, 6)


def test_resuming_is_exact_with_noise_an_average_and_refinement(home):
    """Cut before the refinement, and in the middle of it: 12 learning steps and 4 that refine."""
    noisy = ["--code_noise", 0.1, "--noise_schedule", "linear", "--ema", 0.9, "--weight_decay", 0.01]
    common = ["--dataset", "TOY", *noisy, "--refine_steps", 3, "--epochs", 3, "--prefix"]
    train(*common, "refined")
    train(*common, "halves", "--max_steps", 10)
    train("--checkpoint", newest(home, "halves"), "--max_steps", 14)
    train("--checkpoint", newest(home, "halves"), "--max_steps", 16)
    whole = newest(home, "refined") / "model-16"
    assert_same(whole, newest(home, "halves") / "model-16")
    generator = [name for name in tensors(whole) if name.startswith("generator/")]
    before = tensors(newest(home, "halves") / "model-14")
    assert generator
    for name in generator:
        np.testing.assert_array_equal(tensors(whole)[name], before[name])
    assert not np.array_equal(tensors(whole)["table/codes"], before["table/codes"])


@pytest.mark.parametrize("update", ["joint", "alternate"])
def test_resuming_is_exact(home, update):
    """Also in the middle of an epoch of 4 steps, with a partial batch in each."""
    common = ["--dataset", "TOY", "--update", update, "--max_samples", 30, "--prefix"]
    train(*common, f"whole-{update}", "--max_steps", 30)
    train(*common, f"parts-{update}", "--max_steps", 13)
    resumed = newest(home, f"parts-{update}")
    train("--checkpoint", resumed, "--max_steps", 30)
    assert newest(home, f"parts-{update}") == resumed
    assert_same(newest(home, f"whole-{update}") / "model-30", resumed / "model-30")
    steps = [json.loads(line)["step"] for line in (resumed / "metrics.jsonl").read_text().splitlines()]
    assert steps == sorted(steps)


def test_altered_copies_are_trained_on_and_nothing_else(home):
    """Batches of 8 of 32 images and 64 copies: 24 in 2 epochs, and 4 that refine, of images alone, like evaluation."""
    common = ["--dataset", "TOY", "--augment_to", 90, "--augment", "move,flip", "--epochs", 2, "--refine_steps", 2]
    common += ["--prefix"]
    told = call("trainer.py", *common, "copies", *FAST, "--dry_run").stdout
    assert "96 codes of 6" in told
    assert "12 an epoch, 28 in all, schedule over 24, 4 more for codes alone" in told
    train(*common, "copies")
    whole = newest(home, "copies") / "model-28"
    assert tensors(whole)["table/codes"].shape == (96, 6)
    assert (tensors(whole)["table/visits"] == 2).all()
    train(*common, "cut-copies", "--max_steps", 13)
    train("--checkpoint", newest(home, "cut-copies"), "--max_steps", 26)
    before = tensors(newest(home, "cut-copies") / "model-26")["table/codes"]
    train("--checkpoint", newest(home, "cut-copies"), "--max_steps", 28)
    assert_same(whole, newest(home, "cut-copies") / "model-28")
    after = tensors(whole)["table/codes"]
    np.testing.assert_array_equal(after[32:], before[32:])
    assert (after[:32] != before[:32]).any(axis=1).sum() == 16  # the last two batches of refinement
    assert_one_line_error(train("--checkpoint", whole, "--augment_to", 99, expect_ok=False), "augment_to 90, not 99")
    assert_one_line_error(train(*common, "x", "--augment", "blur", expect_ok=False), "--augment", "move,color")
    assert_ok(call("evaler.py", "--checkpoint", whole, "--reconstruct", "--generate", "--num_fit", 3, "--fit_steps", 2))
    results = json.loads((whole.parent / "eval-28" / "metrics.json").read_text())
    assert results["train"]["n"] == 32


def test_a_run_that_was_cut_short_goes_on_to_new_epochs(home):
    train("--dataset", "TOY", "--prefix", "cut", "--max_steps", 3)
    train("--checkpoint", newest(home, "cut"), "--epochs", 2)
    assert (newest(home, "cut") / "model-8.json").is_file()  # 2 epochs of 4 steps


def test_a_checkpoint_starts_a_new_run_with_new_settings(home):
    train("--dataset", "TOY", "--prefix", "first", "--max_steps", 20)
    first = newest(home, "first")
    before = sorted(path.name for path in first.iterdir())
    train("--checkpoint", first / "model-20", "--prefix", "second", "--alpha", 2, "--max_steps", 24)
    second = newest(home, "second")
    assert sorted(path.name for path in first.iterdir()) == before
    assert yaml.safe_load((second / "config.yaml").read_text())["alpha"] == 2
    assert (second / "model-24.json").is_file()


def test_resuming_refuses_what_would_change_the_run(home):
    train("--dataset", "TOY", "--prefix", "strict", "--max_steps", 8)
    folder = newest(home, "strict")
    assert_one_line_error(train("--checkpoint", folder, "--alpha", 3, expect_ok=False), "alpha 5.0, not 3.0", "model-8")
    result = train("--checkpoint", folder / "model-8", "--generator", "resize_conv", expect_ok=False)
    assert_one_line_error(result, "generator deconv, not resize_conv")
    assert_one_line_error(train("--checkpoint", folder, "--max_steps", 8, expect_ok=False), "--max_steps")
    assert_one_line_error(train("--checkpoint", folder, "--dataset", "OTHER", expect_ok=False), "TOY", "OTHER")


def test_a_changed_or_reordered_dataset_is_refused(home, tmp_path):
    train("--dataset", "TOY", "--prefix", "data", "--max_steps", 4)
    folder = newest(home, "data")
    images, codes = samples(42, (8, 8, 1), 6)
    split = (np.arange(42) >= 32).astype(np.uint8)
    more = ["--max_steps", 8, "--data_dir", tmp_path]
    swapped = images.copy()
    swapped[[0, 1]] = images[[1, 0]]
    for changed, what in (
        ({"images": swapped}, "fingerprint"),
        ({"codes": codes[:, :5]}, "code dimension"),
        ({"split": np.roll(split, 1)}, "training rows"),
    ):
        write_flat(tmp_path / "TOY", **{"images": images, "codes": codes, "split": split, **changed})
        assert_one_line_error(train("--checkpoint", folder, *more, expect_ok=False), what, "model-4")
    write_flat(tmp_path / "TOY", images, codes, split=split)
    train("--checkpoint", folder, *more)  # the same data elsewhere is fine


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_saves_and_resumes_exactly(home, number, code):
    name = f"sig{code}"
    line = [
        sys.executable,
        ROOT / "trainer.py",
        "--dataset",
        "TOY",
        "--prefix",
        name,
        "--log_every",
        "1",
        *SAME,
    ]
    process = subprocess.Popen([*map(str, line)], cwd=home, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 90
    while (
        not any((home / "train_dir").glob(f"{name}-*/metrics.jsonl"))
        or not (newest(home, name) / "metrics.jsonl").read_text()
    ):
        assert time.monotonic() < deadline
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    process.send_signal(number)
    log = process.communicate(timeout=60)[1]
    assert process.returncode == code, log
    folder = newest(home, name)
    (manifest,) = folder.glob("model-*.json")
    step = json.loads(manifest.read_text())["step"]
    assert f"python trainer.py --checkpoint train_dir/{folder.name}" in log
    assert f"model-{step}" in log
    assert "Traceback" not in log
    end = step + 6
    assert_ok(call("trainer.py", "--checkpoint", folder, "--max_steps", end))
    assert_ok(call("trainer.py", "--dataset", "TOY", "--prefix", f"{name}whole", *SAME, "--max_steps", end))
    assert_same(newest(home, f"{name}whole") / f"model-{end}", folder / f"model-{end}")


@pytest.mark.parametrize("memory_limit", ["1G", "0"])
def test_kill_9_at_any_moment_loses_nothing_but_the_steps_since_the_last_save(home, memory_limit):
    """Killed twice, in the middle of saves as likely as not, and resumed: the end is that of an undisturbed run."""
    settings = ["--memory_limit", memory_limit, *map(str, FAST), "--save_every", "2", "--log_every", "1"]
    start = ["--dataset", "TOY", "--prefix", f"killed{memory_limit}", *settings]
    for delay in (0.7, 0.35):
        line = [sys.executable, str(ROOT / "trainer.py"), *start]
        process = subprocess.Popen(line, cwd=home, stderr=subprocess.DEVNULL)
        deadline, before = time.monotonic() + 90, set(home.glob(f"train_dir/killed{memory_limit}-*/model-*.json"))
        while not set(home.glob(f"train_dir/killed{memory_limit}-*/model-*.json")) - before:
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.02)
        time.sleep(delay)
        process.kill()
        process.wait()
        start = ["--checkpoint", str(newest(home, f"killed{memory_limit}"))]
    folder = newest(home, f"killed{memory_limit}")
    last = max(int(path.stem.split("-")[1]) for path in folder.glob("model-*.json"))
    assert_ok(call("trainer.py", "--checkpoint", folder, "--max_steps", last + 5))
    assert not list(folder.glob(".tmp*"))
    assert_ok(
        call("trainer.py", "--dataset", "TOY", "--prefix", f"calm{memory_limit}", *settings, "--max_steps", last + 5)
    )
    assert_same(newest(home, f"calm{memory_limit}") / f"model-{last + 5}", folder / f"model-{last + 5}")


def test_streaming_from_the_file_equals_training_in_memory(home, monkeypatch):
    """Several windows an epoch; cut in the middle of one, resumed, and the memory changed in between."""
    monkeypatch.setattr(batches, "BLOCK_BYTES", 3 * 64)
    monkeypatch.setattr(batches, "WINDOW_BYTES", 16 * 64)
    train("--dataset", "TOY", "--prefix", "held", "--max_steps", 11)
    log = assert_ok(train("--dataset", "TOY", "--prefix", "streamed", "--memory_limit", "1K", "--max_steps", 7))
    assert "stay in the file" in log
    assert_ok(train("--checkpoint", newest(home, "streamed"), "--max_steps", 9))
    assert (
        "stay in the file"
        not in train("--checkpoint", newest(home, "streamed"), "--memory_limit", "1M", "--max_steps", 11).stderr
    )
    assert_same(newest(home, "held") / "model-11", newest(home, "streamed") / "model-11")


def test_pictures_that_cannot_be_written_do_not_end_training(home):
    train("--dataset", "TOY", "--prefix", "blocked", "--max_steps", 8)
    folder = newest(home, "blocked")
    shutil.rmtree(folder / "reconstructions")
    (folder / "reconstructions").touch()
    log = assert_ok(train("--checkpoint", folder, "--max_steps", 20))
    assert log.count("cannot write") == 1  # once a minute
    assert "Training goes on" in log
    assert "done: 20 steps" in log
    assert (folder / "model-20.json").is_file()


def test_a_loss_that_is_not_finite_stops_the_run(home):
    result = train(
        "--dataset",
        "TOY",
        "--prefix",
        "nan",
        "--learning_rate",
        1e30,
        "--schedule",
        "constant",
        "--generator_optimizer",
        "sgd",
        "--max_steps",
        60,
        expect_ok=False,
    )
    assert_one_line_error(result, "not finite", "--learning_rate", "--alpha", "no checkpoint was saved")
    assert not list(newest(home, "nan").glob("model-*"))
    train("--dataset", "TOY", "--prefix", "good", "--max_steps", 20)
    good = newest(home, "good") / "model-20"
    result = train(
        "--checkpoint",
        good,
        "--prefix",
        "bad",
        "--learning_rate",
        1e30,
        "--generator_optimizer",
        "adam",
        "--max_steps",
        60,
        expect_ok=False,
    )
    assert_one_line_error(result, f"last good checkpoint is {good}")
    assert manifest.read(good).step == 20


def test_fewer_images_than_the_batch(home):
    images, codes = samples(3, (8, 8, 1), 2)
    write_flat(home / "datasets/TINY", images, codes, split=np.zeros(3, np.uint8))
    assert_ok(call("trainer.py", "--dataset", "TINY", "--channels", 4, "--batch_size", 64, "--max_steps", 3))


@pytest.mark.parametrize(
    "extra",
    [
        ["--projection", "sphere", "--code_optimizer", "sgd"],
        ["--loss", "l1", "--generator_optimizer", "sgd"],
        ["--generator", "resize_conv", "--loss", "mse", "--lr_weight_decay"],
        ["--projection", "none", "--schedule", "constant"],
    ],
)
def test_choices(home, extra):
    train("--dataset", "TOY", "--prefix", "choice", *extra, "--max_steps", 3)


def test_the_older_layout_trains_without_a_split(home):
    images, codes = samples(20, (6, 9, 3), 4)
    write_grouped(
        home / "datasets/YOUR_DATASET", images.astype(np.float32) / 255, codes, [f"img{i}" for i in range(20)]
    )
    log = assert_ok(train("--dataset", "YOUR_DATASET", "--max_steps", 3))
    assert "18 train and 2 held-out images 6x9x3" in log
    assert "float in [0, 1]" in log


def test_dry_run_says_what_would_be_and_writes_nothing(home):
    result = call("trainer.py", "--dataset", "TOY", "--dry_run", "--train_dir", "dry", *FAST)
    assert_ok(result)
    assert "alpha: 5.0" in result.stdout
    assert "4 an epoch, 4,000 in all" in result.stdout
    assert not (home / "dry").exists()


def test_a_flag_beats_the_file_and_the_file_the_default(home):
    (home / "mine.yaml").write_text("alpha: 2\nlearning_rate: 1e-3\nloss: l1\n")
    result = call("trainer.py", "--dataset", "TOY", "--config", "mine.yaml", "--loss", "mse", "--dry_run")
    shown = yaml.safe_load(result.stdout.split("\n\n")[0].split("Model")[0])
    assert (shown["alpha"], shown["learning_rate"], shown["loss"]) == (2.0, 1e-3, "mse")
    (home / "wrong.yaml").write_text("alhpa: 2\n")
    assert_one_line_error(
        call("trainer.py", "--dataset", "TOY", "--config", "wrong.yaml"), "wrong.yaml", "did you mean alpha"
    )


def test_a_sum_of_losses_trains_resumes_and_is_evaluated(home):
    loss = "lap_l1(levels=2,weights=pixels) + 0.5*ssim + 0.1*local_moment + pairwise_mse + huber(delta=0.5)"
    train("--dataset", "TOY", "--prefix", "sum", "--loss", loss, "--epochs", 10)
    folder = newest(home, "sum")
    assert yaml.safe_load((folder / "config.yaml").read_text())["loss"] == loss
    values = [r["loss"] for r in map(json.loads, (folder / "metrics.jsonl").read_text().splitlines()) if "loss" in r]
    assert values[-1] < 0.9 * values[0]
    assert_ok(call("trainer.py", "--checkpoint", folder, "--max_steps", 42))
    refused = call("trainer.py", "--checkpoint", folder, "--max_steps", 44, "--loss", "mse")
    assert_one_line_error(refused, "was trained with loss lap_l1(levels=2", "not mse")
    small = ["--reconstruct", "--num_fit", 3, "--fit_steps", 2]
    assert_ok(call("evaler.py", "--dataset", "TOY", "--checkpoint", folder, *small))
    (results,) = folder.glob("eval-42/*.json")
    assert 0 < json.loads(results.read_text())["train"]["loss"] < values[0]


@pytest.mark.parametrize(
    ("args", "fragments"),
    [
        (["--dataset", "TOY", "--alpha", "-1"], ["--alpha must be at least 0"]),
        (["--dataset", "TOY", "--alpah", "1"], ["--alpah", "did you mean --alpha"]),
        (["--dataset", "TOY", "--epochs", "many"], ["--epochs", "whole number"]),
        (["--dataset", "TOY", "--loss", "lapl1"], ["--loss: 'lapl1' is not one of", "did you mean lap_l1?"]),
        (["--dataset", "TOY", "--loss", "lap_l1(levels=9)+mse"], ["--loss: levels of lap_l1", "from 1 to 8"]),
        (["--dataset", "NOWHERE"], ["python download.py --datasets NOWHERE"]),
        (["--dataset", "../TOY"], ["--dataset"]),
        ([], ["--dataset is missing"]),
        (["--checkpoint", "nowhere"], ["nowhere"]),
        (["--checkpoint", "datasets"], ["holds no complete checkpoint"]),
        (["--dataset", "TOY", "--train_dir", "datasets/TOY/data.hdf5"], ["--train_dir"]),
        (["--dataset", "TOY", "--device", "gpu:7"], ["gpu:7", "--device cpu"]),
    ],
)
def test_bad_flags_get_one_line(args, fragments):
    assert_one_line_error(call("trainer.py", *args), *fragments)


def test_bad_flags_are_refused_before_tensorflow_is_loaded(home):
    program = (
        "import sys, trainer; from glo.runtime import errors\n"
        "code = errors.run(lambda: trainer.main(['--dataset', 'TOY', '--alpha', '-1']))\n"
        "assert code == 2 and 'tensorflow' not in sys.modules and 'numpy' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True)


def test_every_setting_is_documented_in_the_help():
    result = run("trainer.py", "--help", cwd=ROOT)
    assert result.returncode == 0
    for field in dataclasses.fields(settings.TrainSettings):
        assert f"--{field.name}" in result.stdout
        assert len(field.metadata["help"]) > 10


def test_the_precision_that_auto_chose_is_recorded_and_kept(home, monkeypatch):
    from glo.model import precision
    from glo.runtime import device

    monkeypatch.setattr(device, "has_bfloat16", lambda: True)
    monkeypatch.setattr(precision, "measure", lambda *_: {"float32": 1.0, "bfloat16": 2.0})
    result = train("--dataset", "TOY", "--prefix", "auto", "--precision", "auto", "--max_steps", 4)
    assert "precision auto: bfloat16" in result.stderr
    begun = newest(home, "auto")
    assert yaml.safe_load((begun / "config.yaml").read_text())["precision"] == "bfloat16"
    # Another machine would choose otherwise, but is not asked.
    monkeypatch.setattr(precision, "measure", lambda *_: {"float32": 2.0, "bfloat16": 1.0})
    train("--checkpoint", begun, "--precision", "auto", "--max_steps", 8)
    assert manifest.read(begun / "model-8").settings["precision"] == "bfloat16"
    assert_one_line_error(
        train("--checkpoint", begun, "--precision", "float32", "--max_steps", 9, expect_ok=False), "precision"
    )
    train("--dataset", "TOY", "--prefix", "whole-auto", "--precision", "bfloat16", "--max_steps", 8)
    assert_same(newest(home, "whole-auto") / "model-8", begun / "model-8")


def test_checkpoints_from_before_the_setting_were_float32(home):
    train("--dataset", "TOY", "--prefix", "older", "--max_steps", 2)
    found = manifest.read(newest(home, "older") / "model-2")
    del found.settings["precision"]
    assert found.resolved(newest(home, "older") / "model-2").precision == "float32"


def test_xla_compiles_the_same_step(home):
    for jit in ("on", "off"):
        train("--dataset", "TOY", "--prefix", f"jit-{jit}", "--jit", jit, "--max_steps", 3)
    compiled, plain = (tensors(newest(home, f"jit-{jit}") / "model-3") for jit in ("on", "off"))
    assert compiled.keys() == plain.keys()
    for name, values in plain.items():
        if values.dtype == np.float32:
            np.testing.assert_allclose(compiled[name], values, atol=0.01, err_msg=name)


@pytest.mark.parametrize("limit", ["1G", "1K"])  # codes in memory, and in the file
def test_dimension_takes_the_leading_coordinates(home, limit):
    train("--dataset", "TOY", "--prefix", f"lead{limit}", "--dimension", 2, "--max_steps", 1, "--alpha", 0,
          "--memory_limit", limit)  # fmt: skip
    run_folder = newest(home, f"lead{limit}")
    codes = tensors(run_folder / "model-1")["table/codes"]
    with h5py.File(home / "datasets/TOY/data.hdf5") as file:
        np.testing.assert_allclose(codes, file["code"][:32, :2], atol=1e-6)
    assert_ok(call("evaler.py", "--checkpoint", run_folder, "--generate", "--num_samples", 4, "--sampler", "gaussian"))
    assert_one_line_error(call("trainer.py", *FAST, "--dataset", "TOY", "--dimension", 7), "--dimension 7", "have 6")
    assert_one_line_error(
        call("trainer.py", *FAST, "--checkpoint", run_folder / "model-1", "--dimension", 3), "dimension 2, not 3"
    )


def test_a_new_run_may_change_optimizers_and_average_and_says_what_starts_afresh(home):
    train("--dataset", "TOY", "--prefix", "plain", "--max_steps", 4)
    start = newest(home, "plain") / "model-4"
    changes = ["--code_optimizer", "sgd", "--generator_optimizer", "sgd", "--ema", 0.9]
    log = train("--checkpoint", start, "--prefix", "changed", *changes, "--max_steps", 5).stderr
    for what in ("the state of the generator's optimizer", "the state of the codes' optimizer", "the average of the"):
        assert f"{what}" in log
    changed = newest(home, "changed") / "model-5"
    assert not any(name.startswith("table/visits") for name in tensors(changed))
    # The average starts at the weights of the checkpoint, not at random ones: one step of sgd away, it is near them.
    kernel, average = tensors(start)["generator/project/kernel"], tensors(changed)["average/project/kernel"]
    assert np.abs(kernel - average).max() < 0.05 * np.abs(kernel).max()
    # Back again: everything that an optimizer remembers is new, and nothing is left over.
    log = train("--checkpoint", changed, "--prefix", "back", "--code_optimizer", "adam", "--max_steps", 6).stderr
    assert "the state of the codes' optimizer" in log
    assert (tensors(newest(home, "back") / "model-6")["table/visits"] <= 1).all()
    # A run that is resumed may change none of them.
    refused = train("--checkpoint", newest(home, "plain"), "--max_steps", 8, "--ema", 0.9, expect_ok=False)
    assert_one_line_error(refused, "ema 0.0, not 0.9")
    # What cannot be restored leaves no run folder behind.
    before = set((home / "train_dir").iterdir())
    (newest(home, "plain") / "model-4.index").write_bytes(b"no index")
    assert train("--checkpoint", start, "--prefix", "none", "--max_steps", 8, expect_ok=False).returncode == 2
    assert set((home / "train_dir").iterdir()) == before


def test_what_the_bits_depend_on_is_recorded_and_a_change_is_said(home):
    train("--dataset", "TOY", "--prefix", "bits", "--max_steps", 2)
    path = newest(home, "bits") / "model-2.json"
    content = json.loads(path.read_text())
    assert content["numerics"] == {"tensorflow": tf.__version__, "oneDNN": True}
    path.write_text(json.dumps({**content, "numerics": {"tensorflow": "2.20.0", "oneDNN": False}}))
    assert "last bits may differ" in train("--checkpoint", newest(home, "bits"), "--max_steps", 4).stderr
