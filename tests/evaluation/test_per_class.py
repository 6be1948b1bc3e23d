"""evaler.py --label and --per_class: samples from codes of one class. Training leaves the known codes unchanged."""

import shutil

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from glo.data import labels
from glo.runtime.errors import UserError
from glo.samplers import gmm
from tests.runs import SAME, evaluate, metrics
from tests.support import assert_ok, assert_one_line_error, call, load, samples, write_flat

N, D = 180, 4
LABELS = np.repeat([0, 1, 2, 5], [60, 60, 57, 3]).astype(np.int32)
ATTRIBUTES = np.stack([np.arange(N) % 7 < 3, np.arange(N) < 5], axis=1).astype(np.int8)
NAMES = {"label_names": ["cat", "dog", "1"], "attribute_names": ["Smiling", "Wearing Hat"]}


def write(folder, **changed):
    """Write a dataset whose codes form one cluster per label; every sixth image is held out."""
    images, codes = samples(N, (8, 8, 1), D)
    codes = codes * 0.2
    codes[np.arange(N), LABELS % D] += 0.4
    codes[:, 3] += 0.3 * ATTRIBUTES[:, 0]
    arrays = {"label": LABELS, "attribute": ATTRIBUTES, "split": (np.arange(N) % 6 == 5).astype(np.uint8)}
    arrays = {key: values for key, values in {**arrays, **changed}.items() if values is not None}
    write_flat(folder, images, codes, attributes=NAMES, **arrays)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with datasets/CATS and a run of two checkpoints, whose learned codes are the initial codes."""
    home = tmp_path_factory.mktemp("home")
    write(home / "datasets" / "CATS")
    train = ["--max_steps", 4, "--save_every", 2, "--channels", 4, "--alpha", 0, "--sampler", "gaussian"]
    folders = ["--data_dir", home / "datasets", "--train_dir", home / "train_dir"]
    assert_ok(call("trainer.py", *SAME, "--dataset", "CATS", *train, *folders))
    return home


@pytest.fixture
def run(home, monkeypatch):
    monkeypatch.chdir(home)
    (run,) = home.glob("train_dir/*")
    return run


def evaluate_to(folder, run, *args):
    """Evaluate a run; returns the log and the content of metrics.json in the output folder."""
    result = evaluate("--checkpoint", run, "--output_dir", folder, *args)
    return result.stderr, metrics(folder)


@pytest.mark.parametrize(
    ("label", "name", "key", "members"),
    [
        ("0", "0 (cat)", "label-0", LABELS == 0),
        ("dog", "1 (dog)", "label-1", LABELS == 1),
        ("1", "2 (1)", "label-2", LABELS == 2),  # a name comes before a number
        ("Smiling", "Smiling", "attribute-0", ATTRIBUTES[:, 0] == 1),
        ("not:Smiling", "not Smiling", "without-0", ATTRIBUTES[:, 0] == 0),
        ("not:Wearing Hat", "not Wearing Hat", "without-1", ATTRIBUTES[:, 1] == 0),
    ],
)
def test_samples_have_the_mean_and_covariance_of_the_training_codes_of_the_class(
    run, tmp_path, label, name, key, members
):
    log, results = evaluate_to(tmp_path, run, "--label", label, "--num_samples", 4000)
    assert (results["generate"]["label"], results["generate"]["n"]) == (name, 4000)
    assert 0 <= results["generate"]["memorisation_share"] <= 1
    assert f"samples, {name}: gaussian" in log
    assert list(results) == ["checkpoint", "seed", "generate"]  # no other task ran
    table = tf.train.load_checkpoint(str(run / "model-4")).get_tensor("table/codes")
    learned = table[members[np.arange(N) % 6 != 5]]
    with np.load(tmp_path / "generate_default.npz") as file:
        drawn = file["code"]
    # Not exactly equal, since drawn codes outside the ball are projected onto it.
    np.testing.assert_allclose(drawn.mean(axis=0), learned.mean(axis=0), atol=0.04)
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(learned.T), atol=0.02)
    assert (run / "samplers" / f"gaussian-4-{key}.npz").exists()


def test_memorisation_is_measured_by_held_out_images_of_the_class(run, tmp_path, monkeypatch):
    arguments = []
    monkeypatch.setattr(
        "glo.metrics.memorization.share_and_control", lambda *args: arguments.extend(args) or (0.0, 0.0)
    )
    evaluate_to(tmp_path, run, "--label", "dog")
    images, _ = samples(N, (8, 8, 1), D)
    expected = images[(LABELS == 1) & (np.arange(N) % 6 == 5)]
    np.testing.assert_array_equal(arguments[2], expected)


def test_a_row_for_each_label(run, tmp_path):
    log, results = evaluate_to(tmp_path, run, "--per_class")
    classes = results["per_class"]["classes"]
    assert [result["label"] for result in classes] == ["0 (cat)", "1 (dog)", "2 (1)"]  # 5 has too few images
    assert [result["training_images"] for result in classes] == [50, 50, 48]
    assert all(np.isfinite([result["log_likelihood"], result["energy_distance"]]).all() for result in classes)
    assert "samples, 1 (dog): gaussian" in log
    assert "generate" not in results
    with np.load(tmp_path / "per_class_default.npz") as file:
        codes, images, names = file["code"], file["image"], file["label"]
    assert images.shape == (3, 10, 8, 8, 1)
    assert names.tolist() == ["0 (cat)", "1 (dog)", "2 (1)"]
    np.testing.assert_array_equal(codes[..., :3].argmax(axis=2), np.repeat([[0], [1], [2]], 10, axis=1))
    assert Image.open(tmp_path / "per_class_default.png").size == (2 + 10 * 58, 22 + 3 * (22 + 60) + 2 * 8)
    # --label draws the same codes for its class.
    evaluate_to(tmp_path, run, "--label", "dog", "--num_samples", 10)
    with np.load(tmp_path / "generate_default.npz") as file:
        np.testing.assert_allclose(file["code"], codes[1], rtol=1e-5, atol=1e-6)


def test_a_row_for_each_attribute_without_labels(home, run, tmp_path):
    write(home / "other" / "CATS", label=None, attribute=np.stack([np.arange(N) % 2, np.arange(N) % 3 < 2], 1))
    _, results = evaluate_to(tmp_path, run, "--per_class", "--generate", "--data_dir", home / "other")
    assert [result["label"] for result in results["per_class"]["classes"]] == ["Smiling", "Wearing Hat"]
    assert results["generate"]["label"] is None


@pytest.mark.parametrize("sampler", ["gmm", "kde", "diagonal"])
def test_ten_codes_are_enough_for_every_sampler(home, run, tmp_path, sampler):
    few = np.where(np.arange(N) < 12, 7, LABELS)  # two of the twelve are held out
    write(home / "few" / "CATS", label=few)
    args = ["--label", "7", "--sampler", sampler, "--data_dir", home / "few"]
    _, results = evaluate_to(tmp_path, run, *args)
    with np.load(tmp_path / "generate_default.npz") as file:
        assert np.isfinite(file["code"]).all()
        assert file["code"][:, :3].argmax(axis=1).tolist() == [0] * 64
    assert results["generate"]["sampler"] == sampler


@pytest.mark.parametrize(
    ("n", "n_of_all", "components", "expected"),
    [
        (6000, 60000, 1200, 120),  # in proportion
        (60000, 60000, 1200, 1200),
        (6000, 6000, 1200, 300),  # 20 codes each
        (10, 60000, 200, 1),
        (30, 60, 3, 1),
    ],
)
def test_components_of_a_class(n, n_of_all, components, expected):
    assert gmm.components_for(n, n_of_all, components) == expected


def test_the_components_in_the_settings_of_a_run_are_those_of_all_codes(run, tmp_path):
    copy = tmp_path / run.name
    shutil.copytree(run, copy)
    for manifest in copy.glob("model-*.json"):
        text = manifest.read_text().replace('"sampler": "gaussian"', '"sampler": "gmm"')
        manifest.write_text(text.replace('"components": null', '"components": 6'))
    for args, expected in (["--label", "cat"], 2), (["--label", "cat", "--components", 5], 5), (["--generate"], 6):
        evaluate_to(tmp_path / "out", copy, *args)
        (saved,) = copy.glob("samplers/gmm-4-label-0.npz" if "--label" in args else "samplers/gmm-4.npz")
        with np.load(saved) as file:
            assert len(file["weights"]) == expected
    evaluate_to(tmp_path / "out", copy, "--generate", "--sampler", "leading")  # they are those of the run's own sampler
    with np.load(copy / "samplers" / "leading-4.npz") as file:
        assert len(file["weights"]) == 1


def test_invalid_input_causes_one_line_errors(home, run):
    command = ["evaler.py", "--checkpoint", run, "--output_dir", home / "out"]
    assert_one_line_error(call(*command, "--label", "dgo"), "0 (cat), 1 (dog), 2 (1), 5, Smiling", "did you mean dog?")
    assert_one_line_error(call(*command, "--label", "not:smiling"), "did you mean not:Smiling?")
    assert_one_line_error(call(*command, "--label", "3"), "has no such label")
    assert_one_line_error(call(*command, "--label", "5"), "--label 5: 2 of the training images", "10 are needed")
    assert_one_line_error(call(*command, "--label", "Wearing Hat"), "5 of the training images")
    assert_one_line_error(call(*command, "--label", "cat", "--per_class"), "drop one")
    assert_one_line_error(call(*command, "--label", "cat", "--metrics"), "--metrics", "drop one")
    assert_one_line_error(call(*command, "--label", "cat", "--sampler", "unit"), "choose another")
    write(home / "bare" / "CATS", label=None, attribute=None)
    for flags in (["--label", "cat"], ["--per_class"]):
        result = call(*command, *flags, "--data_dir", home / "bare")
        assert_one_line_error(result, "no labels and no attributes", f"drop {flags[0]}")
    assert not (home / "out").exists()


def test_only_the_most_frequent_of_many_classes_are_used(tmp_path, monkeypatch):
    monkeypatch.setattr(labels, "MAX_CLASSES", 2)
    write(tmp_path / "CATS", label=np.repeat([3, 4, 9, 11], [40, 60, 30, 50]).astype(np.int32))
    dataset = load(tmp_path, "CATS")
    assert [image_class.name for image_class in labels.every(dataset)] == ["4", "11"]
    monkeypatch.setattr(labels, "MIN_IMAGES", 1000)
    with pytest.raises(UserError, match="no label or attribute with 1000 training images"):
        labels.every(dataset)


def test_control_characters_in_names_are_replaced():
    assert labels.printable("a\x1b[31m\nb日") == "a?[31m?b日"
    assert len(labels.printable("x" * 10_000)) == 64
