"""evaler.py --label and --per_class: samples from the codes of one class, on codes that are known and do not move."""

import json
import shutil

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from glo.data import labels
from glo.runtime.errors import UserError
from glo.samplers import gmm
from tests.support import assert_ok, assert_one_line_error, call, load, samples, write_flat

N, D = 180, 4
LABELS = np.repeat([0, 1, 2, 5], [60, 60, 57, 3]).astype(np.int32)
ATTRIBUTES = np.stack([np.arange(N) % 7 < 3, np.arange(N) < 5], axis=1).astype(np.int8)
NAMES = {"label_names": ["cat", "dog", "1"], "attribute_names": ["Smiling", "Wearing Hat"]}


def write(folder, **changed):
    """Images and codes of which each label has its own corner; every sixth image is held out."""
    images, codes = samples(N, (8, 8, 1), D)
    codes = codes * 0.2
    codes[np.arange(N), LABELS % D] += 0.4
    codes[:, 3] += 0.3 * ATTRIBUTES[:, 0]
    arrays = {"label": LABELS, "attribute": ATTRIBUTES, "split": (np.arange(N) % 6 == 5).astype(np.uint8)}
    arrays = {key: values for key, values in {**arrays, **changed}.items() if values is not None}
    write_flat(folder, images, codes, attributes=NAMES, **arrays)
    return codes, arrays["split"] == 0


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with datasets/CATS and a run whose codes stay where they were, in two checkpoints."""
    home = tmp_path_factory.mktemp("home")
    write(home / "datasets" / "CATS")
    train = ["--max_steps", 4, "--save_every", 2, "--channels", 4, "--alpha", 0, "--sampler", "gaussian"]
    folders = ["--data_dir", home / "datasets", "--train_dir", home / "train_dir"]
    assert_ok(call("trainer.py", "--dataset", "CATS", *train, *folders))
    return home


@pytest.fixture
def run(home, monkeypatch):
    monkeypatch.chdir(home)
    (run,) = home.glob("train_dir/*")
    return run


def evaluate(run, folder, *args):
    result = call("evaler.py", "--checkpoint", run, "--output_dir", folder, *args)
    assert_ok(result)
    return result.stderr, json.loads((folder / "metrics.json").read_text())


@pytest.mark.parametrize(
    ("label", "name", "key", "chosen"),
    [
        ("0", "0 (cat)", "label-0", LABELS == 0),
        ("dog", "1 (dog)", "label-1", LABELS == 1),
        ("1", "2 (1)", "label-2", LABELS == 2),  # a name comes before a number
        ("Smiling", "Smiling", "attribute-0", ATTRIBUTES[:, 0] == 1),
        ("not:Smiling", "not Smiling", "without-0", ATTRIBUTES[:, 0] == 0),
        ("not:Wearing Hat", "not Wearing Hat", "without-1", ATTRIBUTES[:, 1] == 0),
    ],
)
def test_samples_have_the_mean_and_covariance_of_the_classs_training_codes(run, tmp_path, label, name, key, chosen):
    log, found = evaluate(run, tmp_path, "--label", label, "--num_samples", 4000)
    assert (found["generate"]["label"], found["generate"]["n"]) == (name, 4000)
    assert 0 <= found["generate"]["memorisation_share"] <= 1
    assert f"samples, {name}: gaussian" in log
    assert list(found) == ["checkpoint", "seed", "generate"]  # no other task was asked for
    table = tf.train.load_checkpoint(str(run / "model-4")).get_tensor("table/codes")
    learned = table[chosen[np.arange(N) % 6 != 5]]
    with np.load(tmp_path / "generate_default.npz") as file:
        drawn = file["code"]
    # Fitted to nine tenths of them, and drawn codes beyond the ball are projected onto it.
    np.testing.assert_allclose(drawn.mean(axis=0), learned.mean(axis=0), atol=0.04)
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(learned.T), atol=0.02)
    assert (run / "samplers" / f"gaussian-4-{key}.npz").exists()


def test_memorisation_is_measured_by_held_out_images_of_the_class(run, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr("glo.metrics.memorization.share", lambda images, known, held_out: seen.append(held_out) or 0.0)
    evaluate(run, tmp_path, "--label", "dog")
    images, _ = samples(N, (8, 8, 1), D)
    expected = images[(LABELS == 1) & (np.arange(N) % 6 == 5)]
    np.testing.assert_array_equal(seen[0], expected)


def test_a_row_for_each_label(run, tmp_path):
    log, found = evaluate(run, tmp_path, "--per_class")
    classes = found["per_class"]["classes"]
    assert [some["label"] for some in classes] == ["0 (cat)", "1 (dog)", "2 (1)"]  # 5 has too few images
    assert [some["training_images"] for some in classes] == [50, 50, 48]
    assert all(np.isfinite([some["log_likelihood"], some["energy_distance"]]).all() for some in classes)
    assert "samples, 1 (dog): gaussian" in log
    assert "generate" not in found
    with np.load(tmp_path / "per_class_default.npz") as file:
        codes, images, names = file["code"], file["image"], file["label"]
    assert images.shape == (3, 10, 8, 8, 1)
    assert names.tolist() == ["0 (cat)", "1 (dog)", "2 (1)"]
    np.testing.assert_array_equal(codes[..., :3].argmax(axis=2), np.repeat([[0], [1], [2]], 10, axis=1))
    assert Image.open(tmp_path / "per_class_default.png").size == (2 + 10 * 58, 22 + 3 * (22 + 60) + 2 * 8)
    # The row of a class is what --label draws of it.
    evaluate(run, tmp_path, "--label", "dog", "--num_samples", 10)
    with np.load(tmp_path / "generate_default.npz") as file:
        assert file["code"].shape == (10, D)


def test_a_row_for_each_attribute_where_there_are_no_labels(home, run, tmp_path):
    write(home / "other" / "CATS", label=None, attribute=np.stack([np.arange(N) % 2, np.arange(N) % 3 < 2], 1))
    _, found = evaluate(run, tmp_path, "--per_class", "--generate", "--data_dir", home / "other")
    assert [some["label"] for some in found["per_class"]["classes"]] == ["Smiling", "Wearing Hat"]
    assert found["generate"]["label"] is None


@pytest.mark.parametrize("sampler", ["gmm", "kde", "diagonal"])
def test_ten_codes_are_enough_for_every_sampler(home, run, tmp_path, sampler):
    few = np.where(np.arange(N) < 12, 7, LABELS)  # two of the twelve are held out
    write(home / "few" / "CATS", label=few)
    asked = ["--label", "7", "--sampler", sampler, "--data_dir", home / "few"]
    _, found = evaluate(run, tmp_path, *asked)
    with np.load(tmp_path / "generate_default.npz") as file:
        assert np.isfinite(file["code"]).all()
        assert file["code"][:, :3].argmax(axis=1).tolist() == [0] * 64
    assert found["generate"]["sampler"] == sampler


@pytest.mark.parametrize(
    ("n", "whole", "components", "expected"),
    [
        (6000, 60000, 1200, 120),  # in proportion
        (60000, 60000, 1200, 1200),
        (6000, 6000, 1200, 300),  # 20 codes each
        (10, 60000, 200, 1),
        (30, 60, 3, 1),
    ],
)
def test_components_of_a_class(n, whole, components, expected):
    assert gmm.components_for(n, whole, components) == expected


def test_the_runs_components_are_those_of_all_codes(run, tmp_path):
    copy = tmp_path / run.name
    shutil.copytree(run, copy)
    for manifest in copy.glob("model-*.json"):
        text = manifest.read_text().replace('"sampler": "gaussian"', '"sampler": "gmm"')
        manifest.write_text(text.replace('"components": null', '"components": 6'))
    for args, expected in (["--label", "cat"], 2), (["--label", "cat", "--components", 5], 5), (["--generate"], 6):
        evaluate(copy, tmp_path / "out", *args)
        (kept,) = copy.glob("samplers/gmm-4-label-0.npz" if "--label" in args else "samplers/gmm-4.npz")
        with np.load(kept) as file:
            assert len(file["sampler.weights"]) == expected


def test_bad_input_gets_one_line(home, run):
    ask = ["evaler.py", "--checkpoint", run, "--output_dir", home / "out"]
    assert_one_line_error(call(*ask, "--label", "dgo"), "0 (cat), 1 (dog), 2 (1), 5, Smiling", "did you mean dog?")
    assert_one_line_error(call(*ask, "--label", "not:smiling"), "did you mean not:Smiling?")
    assert_one_line_error(call(*ask, "--label", "3"), "has no such label")
    assert_one_line_error(call(*ask, "--label", "5"), "--label 5: 2 of the training images", "10 are needed")
    assert_one_line_error(call(*ask, "--label", "Wearing Hat"), "5 of the training images")
    assert_one_line_error(call(*ask, "--label", "cat", "--per_class"), "drop one")
    assert_one_line_error(call(*ask, "--label", "cat", "--metrics"), "--metrics", "drop one")
    assert_one_line_error(call(*ask, "--label", "cat", "--sampler", "unit"), "choose another")
    write(home / "bare" / "CATS", label=None, attribute=None)
    for asked in (["--label", "cat"], ["--per_class"]):
        told = call(*ask, *asked, "--data_dir", home / "bare")
        assert_one_line_error(told, "no labels and no attributes", f"drop {asked[0]}")
    assert not (home / "out").exists()


def test_the_most_frequent_classes_if_there_are_many(tmp_path, monkeypatch):
    monkeypatch.setattr(labels, "MAX_CLASSES", 2)
    write(tmp_path / "CATS", label=np.repeat([3, 4, 9, 11], [40, 60, 30, 50]).astype(np.int32))
    dataset = load(tmp_path, "CATS")
    assert [some.name for some in labels.every(dataset)] == ["4", "11"]
    monkeypatch.setattr(labels, "MIN_IMAGES", 1000)
    with pytest.raises(UserError, match="no label or attribute with 1000 training images"):
        labels.every(dataset)


def test_names_may_not_steer_the_terminal():
    assert labels.printable("a\x1b[31m\nb日") == "a?[31m?b日"
    assert len(labels.printable("x" * 10_000)) == 64
