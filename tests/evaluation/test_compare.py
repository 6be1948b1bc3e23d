"""evaler.py --compare: figures and curves of runs, from what they and their evaluations left behind."""

import csv
import json
import os
import sys

import numpy as np
import pytest
from PIL import Image

from glo.training import history
from tests.support import assert_ok, assert_one_line_error, call, run

SAMPLES = {"frechet_classifier": 2.5, "memorisation_share": 0.04}
FLOOR = {"frechet_classifier": 0.5, "memorisation_share": 0.05}


def make_run(folder, records, evaluations=(), batch_size=10):
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(f"batch_size: {batch_size}\n")
    (folder / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    for step, results in evaluations:
        (folder / f"eval-{step}").mkdir()
        (folder / f"eval-{step}/metrics.json").write_text(json.dumps({"checkpoint": f"model-{step}", **results}))
    return folder


def evaluated(psnr, sha256="a" * 64, n=100):
    extractor = {"name": "classifier", "accuracy": 0.99, "sha256": sha256}
    metrics = {
        "n": n,
        "sampler": "gmm",
        "components": 12,
        "temperature": 0.85,
        "extractor": extractor,
        "samples": SAMPLES,
        "floor": FLOOR,
    }
    recon = {"train": {"psnr": psnr, "ssim": 0.9, "n": 5}, "test": {"psnr": psnr - 1, "ms_ssim_2": 0.8, "n": 5}}
    return {"train": {"psnr": psnr, "l1": 0.1, "n": 5}, "metrics": {**metrics, **recon}}


@pytest.fixture
def runs(tmp_path):
    clocked = [
        {"step": 5, "loss": 0.5, "seconds": 2.0, "images": 48},
        {"step": 10, "train_psnr": 20.0, "heldout_psnr": 19.0, "seconds": 4.0, "images": 96},
    ]
    make_run(tmp_path / "train_dir/new", clocked, [(10, evaluated(21.0))])
    old = [
        {"step": 5, "loss": 0.6, "images_per_second": 25.0},
        {"step": 10, "loss": 0.4, "images_per_second": 50.0},
        {"step": 10, "train_psnr": 18.5},
    ]
    make_run(tmp_path / "train_dir/old", old)
    return tmp_path / "train_dir"


def rows(folder, name="default"):
    with (folder / f"compare_{name}.csv").open() as file:
        return {row.pop("run"): row for row in csv.DictReader(file)}


def compared(*args):
    result = call("evaler.py", "--compare", *args)
    assert_ok(result)
    return result


def test_a_folder_of_runs(runs, tmp_path):
    result = compared(runs, "--output_dir", tmp_path, "--prefix", "two")
    sheet = rows(tmp_path, "two")
    assert list(sheet) == [str(runs / "new"), str(runs / "old")]
    new, old = sheet.values()
    assert (new["step"], new["seconds"], new["images"]) == ("10", "4.0", "96")
    assert (new["train_psnr"], new["heldout_psnr"], new["logged_heldout_psnr"]) == ("21.0", "20.0", "19.0")
    assert (new["train_ssim"], new["heldout_ms_ssim_2"]) == ("0.9", "0.8")
    assert (new["frechet_classifier"], new["n"], new["sampler"]) == ("2.5", "100", "gmm")
    assert (new["components"], new["temperature"]) == ("12", "0.85")
    assert (new["frechet_classifier_floor"], new["memorisation_share_floor"]) == ("0.5", "0.05")
    assert (old["step"], old["images"], old["logged_train_psnr"], old["logged_loss"]) == ("10", "100", "18.5", "0.4")
    assert float(old["seconds"]) == pytest.approx(50 / 25 + 50 / 50)
    assert old["frechet_classifier"] == ""
    lines = result.stdout.splitlines()
    assert lines[:2] == [f"[1] {runs / 'new'}", f"[2] {runs / 'old'}"]
    assert ["train_psnr", "21.0000", "-"] in [line.split() for line in lines]
    assert "not evaluated yet: old" in result.stderr
    assert np.asarray(Image.open(tmp_path / "compare_two.png")).std() > 10


def test_runs_in_the_order_given_the_newest_evaluation_counts(runs, tmp_path):
    make_run(tmp_path / "third", [{"step": 3, "loss": 1.0}], [(1, evaluated(11.0)), (3, evaluated(33.0, "b" * 64))])
    result = compared(tmp_path / "third", runs / "new", runs, "--output_dir", tmp_path)
    sheet = rows(tmp_path)
    assert list(sheet) == [str(tmp_path / "third"), str(runs / "new"), str(runs / "old")]
    assert sheet[str(tmp_path / "third")]["train_psnr"] == "33.0"
    assert "not comparable" in result.stderr
    assert "extractor_sha256" in result.stderr


def test_no_tensorflow_is_loaded(runs, tmp_path):
    # An import of it would fail on this.
    (tmp_path / "tensorflow.py").write_text("raise SystemExit('TensorFlow was imported')")
    (tmp_path / "keras.py").write_text("raise SystemExit('Keras was imported')")
    result = run("evaler.py", "--compare", runs, cwd=tmp_path, env={"PYTHONPATH": str(tmp_path), "PATH": sys.path[0]})
    assert_ok(result)
    assert len(rows(tmp_path / "train_dir")) == 2


def test_a_comparison_replaces_its_own_files_alone(runs, tmp_path):
    out = ["--output_dir", tmp_path]
    compared(runs, *out)
    compared(runs / "new", *out)
    assert len(rows(tmp_path)) == 1
    (tmp_path / "compare_default.csv").write_text("my sheet")
    assert_one_line_error(call("evaler.py", "--compare", runs, *out), "--force")
    assert (tmp_path / "compare_default.csv").read_text() == "my sheet"
    compared(runs, *out, "--force")
    assert len(rows(tmp_path)) == 2


def test_bad_input_gets_one_line(runs, tmp_path):
    out = ["--output_dir", tmp_path]
    assert_one_line_error(call("evaler.py", "--compare", tmp_path / "nowhere", *out), "nowhere", "metrics.jsonl")
    assert_one_line_error(call("evaler.py", "--compare", runs, "--metrics", *out), "drop --checkpoint")
    make_run(tmp_path / "empty", [])
    assert_one_line_error(call("evaler.py", "--compare", tmp_path / "empty", *out), "no record")
    for number, changes in enumerate(
        [{"metrics": []}, {"metrics": {"n": 5}}, {"train": {"ms_ssim_4": [1]}}, {"test": 5}]
    ):
        odd = make_run(tmp_path / f"odd{number}", [{"step": 1}], [(1, {**evaluated(11.0), **changes})])
        assert_one_line_error(call("evaler.py", "--compare", odd, *out), odd, "not those of a run")
    make_run(tmp_path / "sized", [{"step": 1}], batch_size="many")
    assert_one_line_error(call("evaler.py", "--compare", tmp_path / "sized", *out), "batch size")


def test_names_and_texts_of_results_cannot_control_the_terminal(tmp_path):
    for number, changes in enumerate(
        [{"sampler": "\x1b[2J"}, {"samples": {"\x1b]0;x": 1.0}, "floor": {"\x1b]0;x": 1.0}}]
    ):
        results = evaluated(11.0)
        results["metrics"] |= changes
        folder = make_run(tmp_path / str(number), [{"step": 1}], [(1, results)])
        refused = call("evaler.py", "--compare", folder, "--output_dir", tmp_path)
        assert "\x1b" not in assert_one_line_error(refused, "not those of a run")


def test_special_and_unreadable_files_get_one_line(runs, tmp_path, monkeypatch):
    out = ["--output_dir", tmp_path]
    for name in ("metrics.jsonl", "config.yaml"):
        folder = make_run(tmp_path / f"pipe-{name}", [{"step": 1}])
        (folder / name).unlink()
        os.mkfifo(folder / name)
        assert_one_line_error(call("evaler.py", "--compare", folder, *out), name, "regular file")
    folder = make_run(tmp_path / "results", [{"step": 1}], [(1, {})])
    (folder / "eval-1/metrics.json").unlink()
    os.mkfifo(folder / "eval-1/metrics.json")
    assert "not evaluated yet: results" in compared(folder, *out).stderr
    os.mkfifo(tmp_path / "compare_pipe.csv")
    assert_one_line_error(call("evaler.py", "--compare", folder, *out, "--prefix", "pipe"), "--force")
    assert_one_line_error(call("evaler.py", "--compare", "x" * 300, *out), "--compare")
    listdir = os.listdir

    def refuse(folder):
        if folder == runs:
            raise PermissionError(13, "Permission denied", str(folder))
        return listdir(folder)

    monkeypatch.setattr(os, "listdir", refuse)
    assert_one_line_error(call("evaler.py", "--compare", runs, *out), runs, "Permission denied")


def test_a_resumed_runs_clock_goes_on():
    records = [
        {"step": 1, "images_per_second": 10.0},
        {"step": 2, "images_per_second": 5.0},
        {"step": 2, "train_psnr": 3.0},
        {"step": 3, "seconds": 9.0, "images": 28},
    ]
    clocked = history.clocked(records, 10)
    assert [record["seconds"] for record in clocked] == [1.0, 3.0, 3.0, 9.0]
    assert [record["images"] for record in clocked] == [10, 20, 20, 28]
