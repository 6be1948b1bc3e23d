"""trainer.py end to end: the files of a run, its settings, and errors."""

import dataclasses
import subprocess
import sys

import h5py
import numpy as np
import pytest
import tensorflow as tf
import yaml
from PIL import Image

from glo import settings
from tests.runs import FAST, SAME, evaluate, metrics, newest, records, tensors, train
from tests.support import ROOT, assert_ok, assert_one_line_error, call, run, samples, write_flat, write_grouped

pytestmark = pytest.mark.usefixtures("home")


def test_a_run_as_a_process_writes_all_files(home):
    dataset = home / "datasets/TOY/data.hdf5"
    before = dataset.read_bytes()
    args = ["--dataset", "TOY", "--prefix", "full", "--max_steps", 50, *FAST, "--dump_result"]
    log = assert_ok(run("trainer.py", *args, cwd=home))
    assert dataset.read_bytes() == before
    folder = newest(home, "full")
    assert folder.name.startswith("full-TOY_lr_0.005-")
    assert f"python evaler.py --dataset TOY --checkpoint train_dir/{folder.name}" in log
    assert "train PSNR" in log
    waits = [log.index(text) for text in ("starting TensorFlow", "building the model", "compiling the first step")]
    assert waits == sorted(waits)
    lines = records(folder)
    losses = [r["loss"] for r in lines if "loss" in r]
    assert len(losses) == 10
    assert losses[-1] < losses[0]  # by little, since the images are noise; test_evaler.py trains on real images
    assert [r["step"] for r in lines if "loss" in r] == list(range(5, 51, 5))
    assert all(r["images_per_second"] > 0 for r in lines if "loss" in r)
    assert {"train_psnr", "heldout_psnr"} <= lines[-1].keys()
    assert lines[-1]["images"] == 12 * 32 + 2 * 8
    assert sorted(r["seconds"] for r in lines) == [r["seconds"] for r in lines]
    stored = yaml.safe_load((folder / "config.yaml").read_text())
    assert (stored["blocks"], stored["channels"]) == (1, 4)
    assert tf.train.latest_checkpoint(str(folder)) == str(folder / "model-50")
    assert tensors(folder / "model-50")["table/codes"].shape == (32, 6)  # training rows only
    assert sorted(p.name for p in folder.glob("*.json")) == ["model-20.json", "model-40.json", "model-50.json"]
    assert len(list((folder / "reconstructions").glob("*.png"))) == 13  # 12 epochs of 4 steps, and half an epoch
    assert Image.open(folder / "training.gif").n_frames == 13
    assert Image.open(folder / "loss.png").size[0] > 300
    assert list(folder.glob("events.out.tfevents.*"))
    assert "50 steps" in (folder / "log.txt").read_text()
    with h5py.File(folder / "dump_result_40.hdf5") as dump:
        assert dump["image"].shape == dump["reconstruction"].shape == (8, 8, 8, 1)
        assert dump["image"].dtype == dump["reconstruction"].dtype == np.uint8
        with h5py.File(dataset) as file:
            np.testing.assert_array_equal(dump["image"], file["image"][:][dump["row"][:]])


def test_fewer_images_than_the_batch(home):
    images, codes = samples(3, (8, 8, 1), 2)
    write_flat(home / "datasets/TINY", images, codes, split=np.zeros(3, np.uint8))
    assert_ok(call("trainer.py", *SAME, "--dataset", "TINY", "--channels", 4, "--batch_size", 64, "--max_steps", 3))


@pytest.mark.parametrize(
    "extra",
    [
        ["--projection", "sphere", "--code_optimizer", "sgd", "--loss", "l1", "--generator_optimizer", "sgd"],
        ["--generator", "resize_conv", "--loss", "lap_l1", "--lr_weight_decay"],
        ["--projection", "none", "--schedule", "constant"],
    ],
)
def test_choices_of_settings(home, extra):
    train("--dataset", "TOY", "--prefix", "choice", *extra, "--max_steps", 3)


def test_the_older_layout_trains_without_a_split(home):
    images, codes = samples(20, (6, 9, 3), 4)
    write_grouped(
        home / "datasets/YOUR_DATASET", images.astype(np.float32) / 255, codes, [f"img{i}" for i in range(20)]
    )
    log = assert_ok(train("--dataset", "YOUR_DATASET", "--max_steps", 3))
    assert "18 train and 2 held-out images 6x9x3" in log
    assert "float in [0, 1]" in log


def test_dry_run_prints_a_summary_and_writes_nothing(home):
    result = call("trainer.py", "--dataset", "TOY", "--dry_run", "--train_dir", "dry", *FAST)
    assert_ok(result)
    assert "alpha: 5.0" in result.stdout
    assert "4 per epoch, 4,000 in total" in result.stdout
    assert not (home / "dry").exists()


def test_flags_override_the_recipe_and_the_recipe_overrides_defaults(home):
    (home / "mine.yaml").write_text("alpha: 2\nlearning_rate: 1e-3\nloss: l1\n")
    result = call("trainer.py", "--dataset", "TOY", "--config", "mine.yaml", "--loss", "mse", "--dry_run")
    settings_shown = yaml.safe_load(result.stdout.split("\n\n")[0].split("Model")[0])
    assert tuple(settings_shown[name] for name in ("alpha", "learning_rate", "loss")) == (2.0, 1e-3, "mse")
    (home / "wrong.yaml").write_text("alhpa: 2\n")
    assert_one_line_error(
        call("trainer.py", "--dataset", "TOY", "--config", "wrong.yaml"), "wrong.yaml", "did you mean alpha"
    )


def test_a_sum_of_losses_trains_resumes_and_is_evaluated(home):
    loss = "lap_l1(levels=2,weights=pixels) + 0.5*ssim + 0.1*local_moment + pairwise_mse + huber(delta=0.5)"
    train("--dataset", "TOY", "--prefix", "sum", "--loss", loss, "--epochs", 10)
    folder = newest(home, "sum")
    assert yaml.safe_load((folder / "config.yaml").read_text())["loss"] == loss
    losses = [record["loss"] for record in records(folder) if "loss" in record]
    assert losses[-1] < 0.9 * losses[0]
    assert_ok(call("trainer.py", "--checkpoint", folder, "--max_steps", 42))
    refused = call("trainer.py", "--checkpoint", folder, "--max_steps", 44, "--loss", "mse")
    assert_one_line_error(refused, "was trained with loss lap_l1(levels=2", "not mse")
    evaluate("--dataset", "TOY", "--checkpoint", folder, "--reconstruct", "--num_fit", 3, "--fit_steps", 2)
    assert 0 < metrics(folder / "eval-42")["train"]["loss"] < losses[0]


@pytest.mark.parametrize(
    ("args", "fragments"),
    [
        (["--dataset", "TOY", "--alpha", "-1"], ["--alpha must be at least 0"]),
        (["--dataset", "TOY", "--alpah", "1"], ["--alpah", "did you mean --alpha"]),
        (["--dataset", "TOY", "--epochs", "many"], ["--epochs", "whole number"]),
        (["--dataset", "TOY", "--loss", "lapl1"], ["--loss: 'lapl1' is not one of", "did you mean lap_l1?"]),
        (["--dataset", "TOY", "--loss", "lap_l1(levels=9)+mse"], ["--loss: levels of lap_l1", "from 1 to 8"]),
        (["--dataset", "TOY", "--augment_to", 10**9], ["training would take", "GB are free: lower --augment_to"]),
        (["--dataset", "TOY", "--blocks", 10], ["--blocks 10", "an image of 8x8", "give --blocks 3 or less"]),
        (["--dataset", "TOY", "--max_steps", "9" * 5000], ["--max_steps", "whole number"]),
        (["--dataset", "TOY", "--device", "gpu:" + "9" * 5000], ["--device must look like auto, cpu or gpu:0"]),
        (["--dataset", "TOY", "--config", "x" * 300], ["cannot read config file", "File name too long"]),
        (["--dataset", "NOWHERE"], ["python download.py --datasets NOWHERE"]),
        (["--dataset", "../TOY"], ["--dataset"]),
        ([], ["--dataset is missing"]),
        (["--checkpoint", "nowhere"], ["nowhere"]),
        (["--checkpoint", "datasets"], ["holds no complete checkpoint"]),
        (["--dataset", "TOY", "--train_dir", "datasets/TOY/data.hdf5"], ["--train_dir"]),
        (["--dataset", "TOY", "--device", "gpu:7"], ["gpu:7", "--device cpu"]),
    ],
)
def test_invalid_flags_cause_one_line_errors(args, fragments):
    assert_one_line_error(call("trainer.py", *args), *fragments)


def test_invalid_flags_are_refused_before_tensorflow_is_imported(home):
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


def test_xla_compiles_the_same_step(home):
    for jit in ("on", "off"):
        train("--dataset", "TOY", "--prefix", f"jit-{jit}", "--jit", jit, "--max_steps", 3)
    compiled, plain = (tensors(newest(home, f"jit-{jit}") / "model-3") for jit in ("on", "off"))
    assert compiled.keys() == plain.keys()
    for name, values in plain.items():
        if values.dtype == np.float32:
            np.testing.assert_allclose(compiled[name], values, atol=0.01, err_msg=name)


@pytest.mark.parametrize("limit", ["1G", "1K"])  # codes in memory, codes in the file
def test_dimension_selects_the_leading_coordinates(home, limit):
    train("--dataset", "TOY", "--prefix", f"lead{limit}", "--dimension", 2, "--max_steps", 1, "--alpha", 0,
          "--memory_limit", limit)  # fmt: skip
    run_folder = newest(home, f"lead{limit}")
    codes = tensors(run_folder / "model-1")["table/codes"]
    with h5py.File(home / "datasets/TOY/data.hdf5") as file:
        np.testing.assert_allclose(codes, file["code"][:32, :2], atol=1e-6)
    evaluate("--checkpoint", run_folder, "--generate", "--num_samples", 4, "--sampler", "gaussian")
    assert_one_line_error(call("trainer.py", *FAST, "--dataset", "TOY", "--dimension", 7), "--dimension 7", "have 6")
    assert_one_line_error(
        call("trainer.py", *FAST, "--checkpoint", run_folder / "model-1", "--dimension", 3), "dimension 2, not 3"
    )
