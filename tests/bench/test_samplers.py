"""bench.samplers: the table, the plot and the choice on a run whose codes are the pixels that it decodes."""

import json

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from bench import samplers
from bench.samplers import Row
from tests.runs import newest, train
from tests.support import assert_one_line_error, call, write_flat

CONTROL = Row("held-out images", 0.2, 0.1, 0.5, 0.6, 0.49)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run of a few steps on 900 digits, of which 300 are held out."""
    monkeypatch.setattr("glo.features.trained.MIN_STEPS", 60)
    monkeypatch.chdir(tmp_path)
    images, labels = load_digits(return_X_y=True)
    images = (images[:900].reshape(-1, 8, 8, 1) * 15).astype(np.uint8)
    codes = np.linalg.svd(images.reshape(900, -1) - images.reshape(900, -1).mean(axis=0))[0][:, :6] * 10
    split = (np.arange(900) >= 600).astype(np.uint8)
    write_flat(tmp_path / "datasets/PEN", images, codes.astype(np.float32), split=split, label=labels[:900])
    train("--dataset", "PEN", "--max_steps", 60)
    return newest(tmp_path, "default")


def test_table_plot_and_choice(run, tmp_path, capsys):
    args = ["--samplers", "gmm,gaussian", "--components", "2,3", "--temperatures", "1,0.5", "--num", "200", "--test"]
    samplers.main([str(run), *args, "--output_dir", str(tmp_path)])
    printed = capsys.readouterr().out
    results = json.loads((tmp_path / "samplers.json").read_text())
    names = ["gmm 2", "gmm 2 T 0.5", "gmm 3", "gmm 3 T 0.5", "gaussian", "gaussian T 0.5"]
    assert [row["name"] for row in results["rows"]] == names
    assert [row["name"] for row in results["controls"]] == ["held-out images", "training images"]
    assert results["extractor"]["name"] == "classifier"
    held_out, training = results["controls"]
    assert training["nearer"] == 1
    assert training["authentic"] == 0
    assert training["membership"] > 0.95
    assert abs(held_out["membership"] - 0.5) < 0.15
    assert 0.2 < held_out["nearer"] < 0.8
    assert training["frechet"] < min(row["frechet"] for row in results["rows"])
    assert all(np.isfinite([row["c_t"], row["log_likelihood"]]).all() for row in results["rows"])
    assert "150 held-out images for validation, 200 samples" in printed
    rows = [Row(**row) for row in results["rows"]]
    passed = [row for row in rows if row.within_limits(Row(**held_out))]
    assert results["chosen"] == (min(passed, key=lambda row: row.frechet).name if passed else None)
    assert ("test" in results) == bool(passed) == ("150 held-out images for testing" in printed)
    assert np.asarray(Image.open(tmp_path / "samplers.png")).std() > 10


@pytest.mark.parametrize(
    ("figures", "passes"),
    [
        ((-0.5, 0.515, 0.58, 0.51), True),
        ((-0.6, 0.5, 0.6, 0.5), False),
        ((0, 0.52, 0.6, 0.5), False),
        ((0, 0.5, 0.57, 0.5), False),
        ((0, 0.5, 0.6, 0.52), False),
        ((None, None, 0.6, 0.5), False),
    ],
)
def test_limits(figures, passes):
    assert Row("gmm 3", 1.0, *figures).within_limits(CONTROL) == passes


def test_bad_input_gets_one_line():
    for args, *fragments in (
        (["--samplers", "gmm,vae"], "vae", "gaussian"),
        (["--components", "5,x"], "--components", "positive"),
        (["--temperatures", "0"], "--temperatures", "positive"),
        (["--num", "0"], "--num"),
    ):
        assert_one_line_error(call("bench.samplers", "nowhere", *args), *fragments)
