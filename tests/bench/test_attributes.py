"""The bench of edits: flips and changes by a network of a known formula, and the whole command on a toy run."""

import csv
import json
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from bench import attributes as bench
from glo.runtime import errors
from tests.runs import SAME
from tests.support import assert_ok, call, samples, write_flat

# A decoder that shows codes as they are, and a network that finds attribute k in coordinate k.
RUN = SimpleNamespace(decode=lambda codes: codes, settings=SimpleNamespace(projection="none"))


def network(images):
    return 1 / (1 + np.exp(-images.astype(np.float64)))


def test_flips_and_changes_by_hand():
    codes = np.array([[-0.4, 1.2], [0.7, -1.2], [-2, 3]], np.float32)
    steps = np.array([[1, 0.1], [0, 1]])
    measured = bench.measure(RUN, network, codes, steps, [0.5, 1])
    # Attribute 0 is moved up in images 0 and 2, and down in image 1; so is a tenth of that in coordinate 1.
    np.testing.assert_array_equal(measured.flips[0, :, :, 0], [[1, 0, 0], [1, 1, 0]])
    np.testing.assert_array_equal(measured.flips[1, :, :, 1], [[0, 0, 0], [0, 0, 0]])
    moved = codes[:, 1] + 0.1 * np.array([1, -1, 1])
    expected = np.abs(network(moved) - network(codes[:, 1]))
    np.testing.assert_allclose(measured.change[0, 1, :, 1], expected, atol=1e-6)
    np.testing.assert_allclose(measured.target_flips(), [[1 / 3, 2 / 3], [0, 0]])
    np.testing.assert_allclose(measured.off_target()[0, 1], expected.mean(), atol=1e-6)
    np.testing.assert_allclose(measured.off_target()[1], 0, atol=1e-6)


def test_ways_are_compared_at_equal_flips():
    codes = np.random.default_rng(0).standard_normal((4000, 2)).astype(np.float32)
    leaking = np.array([[1, 0.6], [0.6, 1]])
    short = np.array([[0.5, 0.15], [0.15, 0.5]])  # half as far, with half the leak
    baseline, measured = (bench.measure(RUN, network, codes, steps) for steps in (leaking, short))
    result = bench.describe(measured, baseline)
    for strength in (1, 2):
        equal = result[f"flips of difference {strength}"]
        np.testing.assert_allclose(equal["strength"], 2 * strength, rtol=0.1)
        np.testing.assert_allclose(equal["target_flips"], equal["target_flips_of_difference"], atol=0.03)
        np.testing.assert_allclose(equal["ratio"], 0.5, atol=0.08)
    assert result["strength 1"]["target_flips"] < 0.7 * baseline.target_flips()[:, 1].mean()
    same = bench.describe(baseline, baseline)
    assert same["strength 1"]["ratio"] == 1
    np.testing.assert_allclose(same["flips of difference 1"]["strength"], 1, atol=0.1)
    flat = bench.measure(RUN, network, codes, 40 * leaking)  # all images flip at every strength
    assert bench.describe(flat, flat)["flips of difference 2"]["strength"] <= 0.5


@pytest.mark.slow
def test_the_command(tmp_path, monkeypatch, capsys):
    images, codes = samples(60, (16, 16, 1), 4)
    attributes = (np.arange(60)[:, None] // [1, 2, 4] % 2).astype(np.int8)
    attributes[:, 2] = np.arange(60) < 1  # too rare
    images[attributes[:, 0] == 1, :8] //= 4
    images[attributes[:, 1] == 1, 8:] //= 4
    names = {"attribute_names": ["Dark above", "Dark below", "Rare"]}
    split = (np.arange(60) >= 40).astype(np.uint8)
    write_flat(tmp_path / "datasets/TOY", images, codes, split=split, attribute=attributes, attributes=names)
    folders = ["--data_dir", tmp_path / "datasets", "--train_dir", tmp_path / "train_dir"]
    assert_ok(call("trainer.py", *SAME, "--dataset", "TOY", "--channels", 4, "--max_steps", 2, *folders))
    (folder,) = tmp_path.glob("train_dir/*")
    command = [str(folder), "--num", "8", "--epochs", "1", "--network", str(tmp_path / "network.npz")]
    monkeypatch.setattr(bench, "MIN_BALANCED", 1.1)
    assert errors.run(lambda: bench.main(command)) == 2
    assert "add --epochs" in capsys.readouterr().err
    monkeypatch.setattr(bench, "MIN_BALANCED", 0)
    (tmp_path / "out").mkdir()
    assert errors.run(lambda: bench.main([*command, "--out", str(tmp_path / "out")])) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary == json.loads((tmp_path / "out/attributes.json").read_text())
    assert summary["images"] == 8
    assert list(summary["balanced_accuracy"]) == ["Dark above", "Dark below"]
    assert summary["difference"]["strength 1"]["ratio"] == 1
    with (tmp_path / "out/attributes.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 5 * 2 * len(bench.STRENGTHS) * 2
    assert all(0 <= float(row[key]) <= 1 for row in rows for key in ("flips", "change"))
    assert np.asarray(Image.open(tmp_path / "out/attributes_matrix.png").convert("L")).std() > 10
    assert errors.run(lambda: bench.main([str(folder), "--data_dir", "nowhere"])) == 2
    assert "--data_dir" in capsys.readouterr().err.splitlines()[-1]
