"""Conditional models through the commands: training, resuming, sweeps, samples of a class, codes of new images."""

import json
import shutil

import h5py
import numpy as np
import pytest
from PIL import Image

import glo
from glo.inference.prior import GaussianPrior
from glo.inference.verdict import LIKE
from glo.samplers.gaussian import Gaussian
from glo.settings.train import CONDITIONAL_PRIOR
from tests.runs import SAME, assert_same, newest, tensors, train
from tests.support import assert_ok, assert_one_line_error, call, write_flat

N, D = 120, 4
LABELS = np.arange(N, dtype=np.int32) % 3 * 2  # 0, 2 and 4
ATTRIBUTES = np.stack([np.arange(N) % 2, np.arange(N) % 5 < 2, np.zeros(N)], axis=1).astype(np.int8)
HATS = {"attributes": ["Hat"]}
NAMES = {"label_names": ["low", "", "mid", "", "high"], "attribute_names": ["Smiling", "Hat", "Never"]}


def pictures():
    """The label places a bright bar, an attribute brightens a column, and the code changes the background."""
    random = np.random.default_rng(0)
    codes = random.uniform(-0.4, 0.4, (N, D)).astype(np.float32)
    images = np.full((N, 8, 8, 1), 60.0)
    for row in range(N):
        images[row, LABELS[row] * 3 // 2 : LABELS[row] * 3 // 2 + 2] = 200
        images[row, :, 6:] += 50 * ATTRIBUTES[row, 0]
        images[row] += 50 * codes[row, 0]
    return images.round().astype(np.uint8), codes


def write(folder, **changed):
    images, codes = pictures()
    arrays = {"label": LABELS, "attribute": ATTRIBUTES, "split": (np.arange(N) >= 90).astype(np.uint8)}
    arrays = {key: values for key, values in {**arrays, **changed}.items() if values is not None}
    write_flat(folder, images, codes, attributes=NAMES, **arrays)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """datasets/BARS and two runs, conditional on labels and on attributes."""
    folder = tmp_path_factory.mktemp("bars")
    write(folder / "datasets/BARS")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        common = ["--dataset", "BARS", "--max_steps", 150, "--epochs", 14, "--film", 8, "--sampler", "gaussian"]
        train(*common, "--channels", 16, "--prefix", "label", "--conditional")
        train(*common, "--max_steps", 20, "--prefix", "attribute", "--conditional", "Smiling,Hat", "--ema", 0.9)
    return folder


@pytest.fixture
def home(folder, monkeypatch):
    monkeypatch.chdir(folder)
    return folder


def evaluate(run, output, *args):
    result = call("evaler.py", "--checkpoint", run, "--output_dir", output, *args)
    assert_ok(result)
    return json.loads((output / "metrics.json").read_text())


def test_the_checkpoint_names_the_classes_and_holds_the_label_of_each_image(home):
    folder = newest(home, "label")
    assert "conditional: label\n" in (folder / "config.yaml").read_text()
    data = json.loads((folder / "model-150.json").read_text())["data"]
    assert (data["classes"], data["labels of the classes"]) == (["low", "mid", "high"], [0, 2, 4])
    np.testing.assert_array_equal(tensors(folder / "model-150")["conditions"], LABELS[:90] // 2)
    named = newest(home, "attribute")
    assert json.loads((named / "model-20.json").read_text())["data"]["attributes"] == ["Smiling", "Hat"]
    np.testing.assert_array_equal(tensors(named / "model-20")["conditions"], ATTRIBUTES[:90, :2])


def test_a_resumed_run_equals_an_uninterrupted_one(home):
    common = ["--dataset", "BARS", "--epochs", 3, "--conditional", "--film", 4, "--code_noise", 0.05]
    common += ["--augment_to", 170, "--refine_steps", 2]
    train(*common, "--prefix", "whole")
    train(*common, "--prefix", "parts", "--max_steps", 40)
    parts = newest(home, "parts")
    length = max(int(path.stem.split("-")[1]) for path in newest(home, "whole").glob("model-*.index"))
    train("--checkpoint", parts, "--max_steps", length)
    assert_same(newest(home, "whole") / f"model-{length}", parts / f"model-{length}")


def test_the_condition_decides_what_an_image_shows(home):
    model = glo.load(newest(home, "label"))
    for label, top in ((0, 0), (2, 3), ("high", 6)):
        shown = model.decode(model.codes, label).mean(axis=(0, 2, 3))
        assert shown[top : top + 2].mean() > np.delete(shown, [top, top + 1]).mean() + 20
    swept = model.class_sweep(model.codes[:5], 0)
    assert swept.shape == (5, 3, 8, 8, 1)
    np.testing.assert_array_equal(swept[:, 2], model.decode(model.codes[:5], [4] * 5))
    assert model.style_sweep(2, directions=9, steps=5).shape == (D, 5, 8, 8, 1)
    np.testing.assert_array_equal(model.style_sweep(2, 1, 3)[0, 1], model.decode(model.codes.mean(axis=0)[None], 2)[0])


def test_new_images_are_classified_and_encoded_without_their_labels(home):
    model = glo.load(newest(home, "label"))
    images, _ = pictures()
    labels = model.classify(images[90:])
    assert labels.dtype == np.int32
    assert np.mean(labels == LABELS[90:]) > 0.9
    codes = model.encode(images[90:])
    assert (codes.shape, codes.dtype) == ((30, D), np.float32)
    by_own, by_true = model.reconstruct(images[90:]), model.reconstruct(images[90:], LABELS[90:])
    errors = [np.mean(np.square(decoded.astype(float) - images[90:])) for decoded in (by_own, by_true)]
    assert errors[0] < 1.3 * errors[1]


def test_codes_of_conditional_models_are_fitted_with_a_prior(home):
    model, images = glo.load(newest(home, "label")), pictures()[0][90:]
    fitted, weaker, chosen = (
        model.fitter.fit(images, conditions=model.conditions.of(LABELS[90:], 30), **prior).codes
        for prior in ({}, {"prior": 0}, {"prior": CONDITIONAL_PRIOR})
    )
    np.testing.assert_array_equal(fitted, chosen)
    prior = GaussianPrior(Gaussian.fit(model.codes, 0), 1.0)
    assert np.mean(prior(fitted)) < 0.9 * np.mean(prior(weaker))


def test_a_run_needs_no_dataset(home, tmp_path):
    expected = glo.load(newest(home, "label"))
    alone = shutil.copytree(newest(home, "label"), tmp_path / "run")
    model = glo.load(alone, data_dir=tmp_path)
    np.testing.assert_array_equal(model.decode(model.codes, LABELS[:90]), expected.decode(expected.codes, LABELS[:90]))
    np.testing.assert_array_equal(model.sample(6, label="mid")[0], expected.sample(6, label="mid")[0])
    assert model.classify(pictures()[0][90:94]).tolist() == LABELS[90:94].tolist()


def test_python_errors_are_one_line(home):
    model, attributes = glo.load(newest(home, "label")), glo.load(newest(home, "attribute"))
    for call_it in (
        lambda: model.decode(model.codes),
        lambda: model.decode(model.codes[:2], 1),
        lambda: model.decode(model.codes[:3], [0, 2]),
        lambda: model.sample(2, label="hihg"),
        lambda: attributes.decode(attributes.codes[:2], "Smilling"),
        lambda: attributes.decode(attributes.codes[:2], [0, 1, 1]),
    ):
        with pytest.raises(ValueError, match=r"label|attribute") as caught:
            call_it()
        assert "\n" not in str(caught.value)


def test_samples_of_a_class_take_codes_of_all_classes(home, tmp_path):
    result = evaluate(newest(home, "label"), tmp_path, "--generate", "--label", "mid", "--num_samples", 12)
    assert result["generate"]["label"] == "2 (mid)"
    with np.load(tmp_path / "generate_default.npz") as file:
        images, codes = file["image"], file["code"]
    model = glo.load(newest(home, "label"))
    np.testing.assert_array_equal(images, model.decode(codes, "mid"))
    assert not list((newest(home, "label") / "samplers").glob("*label*"))  # one sampler serves all classes
    evaluate(newest(home, "label"), tmp_path, "--per_class")
    with np.load(tmp_path / "per_class_default.npz") as file:
        np.testing.assert_array_equal(file["image"][2], model.decode(file["code"][2], 4))


@pytest.mark.parametrize("prefix", ["label", "attribute"])
def test_every_task_takes_conditions(home, tmp_path, prefix):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for row in (100, 101):
        Image.fromarray(pictures()[0][row, ..., 0]).save(folder / f"{row}.png")
    tasks = ["--class_sweep", "--style_sweep", "--reconstruct", "--generate", "--interpolate", "--analogy", "1,2,3"]
    options = ["--path", "all", "--export", tmp_path / "e", "--num_fit", 10, "--fit_steps", 20]
    result = evaluate(newest(home, prefix), tmp_path / "out", *tasks, *options)
    names = ["low", "mid", "high"] if prefix == "label" else ["not:Smiling", "Smiling", "not:Hat", "Hat"]
    assert result["class_sweep"] == {"columns": names, "n": 8}
    for task in ("class_sweep", "style_sweep"):
        with Image.open(tmp_path / "out" / f"{task}_default.gif") as animation:
            assert animation.n_frames > 10
        assert (tmp_path / "out" / f"{task}_default.png").exists()
    evaluate(newest(home, prefix), tmp_path / "out", "--images", folder, "--fit_steps", 20)


def assert_alike(image, other):
    """Assert that images uint8 are equal up to rounding, which may depend on the number of images in a batch."""
    np.testing.assert_allclose(image.astype(int), other, atol=1)


def test_analogies_and_paths_take_a_label(home):
    run = glo.load(newest(home, "label"))
    ends = run.codes[:1], run.codes[1:2]
    high, low = (run.interpolate(*ends, "graph", 4, label=label)[1] for label in ("high", "low"))
    assert_alike(high[0, -1], run.decode(ends[1], "high")[0])
    assert np.abs(high.astype(int) - low).max() > 50
    codes, images = run.analogy(run.codes[:3], 3, label=["low", "low", "high"])
    assert_alike(images[0, 2], run.decode(codes[0, 2:], "low")[0])
    assert_alike(images[2, 2], run.decode(codes[2, 2:], "high")[0])
    for needs_label in (lambda: run.analogy(run.codes[:3]), lambda: run.interpolate(run.codes[:1], run.codes[:1])):
        with pytest.raises(ValueError, match="give label"):
            needs_label()


def test_an_exported_model_takes_the_condition(home, tmp_path):
    import tensorflow as tf

    evaluate(newest(home, "label"), tmp_path, "--export", tmp_path / "model")
    loaded, model = tf.saved_model.load(str(tmp_path / "model")), glo.load(newest(home, "label"))
    one_hot = np.eye(3, dtype=np.float32)[[1] * 4]
    difference = loaded.decode(model.codes[:4], one_hot).numpy().astype(int) - model.decode(model.codes[:4], "mid")
    assert np.abs(difference).max() <= 1
    assert loaded.sample(np.zeros((4, D), np.float32), one_hot).shape == (4, 8, 8, 1)


def test_a_dataset_with_other_labels_is_refused(home, tmp_path):
    changed = LABELS.copy()
    changed[[3, 5]] = changed[[5, 3]]
    write(tmp_path / "BARS", label=changed)
    result = call("evaler.py", "--checkpoint", newest(home, "label"), "--data_dir", tmp_path, "--class_sweep")
    assert_one_line_error(result, "fingerprint of the conditions", "give the dataset of that run")


@pytest.fixture(scope="module")
def encoded(folder, tmp_path_factory):
    """A copy of the run of labels, with an encoder."""
    run = shutil.copytree(newest(folder, "label"), tmp_path_factory.mktemp("encoded") / "run")
    assert_ok(call("trainer.py", "--checkpoint", run, "--encoder", "--data_dir", folder / "datasets"))
    return run


def test_an_encoder_predicts_the_code_given_the_label(home, encoded):
    model, images = glo.load(encoded), pictures()[0][90:]
    own, other = (model.encoder.codes(images, model.conditions.of(label, 30)) for label in (LABELS[90:], 0))
    assert np.square(own - other)[LABELS[90:] != 0].sum(axis=1).min() > 0
    fast = model.encode(images, LABELS[90:], fast=True)
    errors = [np.square(model.decode(c, LABELS[90:]).astype(float) - images).mean() for c in (own, fast)]
    assert errors[1] < errors[0]
    assert np.mean(model.classify(images, fast=True) == LABELS[90:]) > 0.9
    assert model.verdict(images, fast, LABELS[90:]).count(LIKE) > 20


def test_pictures_are_encoded_under_the_class_that_fits_them(home, encoded, tmp_path):
    for row in (100, 101, 102):
        (tmp_path / "shown").mkdir(exist_ok=True)
        Image.fromarray(pictures()[0][row, ..., 0]).save(tmp_path / f"shown/{row}.png")
    result = evaluate(encoded, tmp_path / "out", "--encode", "--images", tmp_path / "shown")
    assert result["encode"]["n"] == 3
    with np.load(tmp_path / "out/encode_default.npz") as file:
        np.testing.assert_array_equal(file["condition"].argmax(axis=1), LABELS[100:103] // 2)
        shown = glo.load(encoded).decode(file["code"], LABELS[100:103])
        assert_alike(file["reconstruction"], shown)
    evaluate(encoded, tmp_path / "out", "--encode", "--num_fit", 9)
    with np.load(tmp_path / "out/encode_default.npz") as file:
        np.testing.assert_array_equal(file["condition"].argmax(axis=1), LABELS[file["name"].astype(int)] // 2)


def test_conditions_in_the_checkpoint_must_be_those_of_the_manifest(home, tmp_path):
    for run, step, changed in (("label", 150, {"classes": [], "labels of the classes": []}), ("attribute", 20, HATS)):
        copy = shutil.copytree(newest(home, run), tmp_path / run)
        path = copy / f"model-{step}.json"
        manifest = json.loads(path.read_text())
        path.write_text(json.dumps({**manifest, "data": {**manifest["data"], **changed}}))
        assert_one_line_error(call("evaler.py", "--checkpoint", path), "other conditions than its manifest states")


@pytest.mark.parametrize(
    "data",
    [{"classes": "low"}, {"classes": ["low"]}, {"labels of the classes": [0, 2, "4"]}, {"attributes": [1, 2, 3]}],
)
def test_a_manifest_with_other_names_is_refused(home, tmp_path, data):
    copy = shutil.copytree(newest(home, "label"), tmp_path / "run")
    manifest = json.loads((copy / "model-150.json").read_text())
    (copy / "model-150.json").write_text(json.dumps({**manifest, "data": {**manifest["data"], **data}}))
    assert_one_line_error(call("evaler.py", "--checkpoint", copy), "model-150.json")


@pytest.mark.parametrize(
    ("changed", "value", "fragments"),
    [
        ({"label": None}, ["label"], ["no labels"]),
        ({"label": LABELS * 0 + 3}, [], ["all training images have the label 3"]),
        ({"attribute": None}, ["Smiling"], ["no attributes"]),
        ({}, ["Smilling"], ["no attribute Smilling", "did you mean Smiling?"]),
        ({}, ["Hat,Never"], ["all training images lack the attribute Never"]),
        ({}, ["Hat,Hat"], ["Hat is named twice"]),
    ],
)
def test_bad_conditions_are_refused_in_one_line(tmp_path, changed, value, fragments):
    write(tmp_path / "BARS", **changed)
    if changed.get("attribute", 0) is None:
        with h5py.File(tmp_path / "BARS/data.hdf5", "a") as file:
            del file.attrs["attribute_names"]
    result = call("trainer.py", *SAME, "--dataset", "BARS", "--data_dir", tmp_path, "--conditional", *value)
    assert_one_line_error(result, "--conditional", *fragments)


def test_a_class_sweep_of_an_unconditional_model_is_refused(home):
    train("--dataset", "BARS", "--max_steps", 2, "--prefix", "plain")
    result = call("evaler.py", "--checkpoint", newest(home, "plain"), "--class_sweep")
    assert_one_line_error(result, "--class_sweep", "--conditional")
    result = call("trainer.py", "--checkpoint", newest(home, "label"), "--conditional", "Hat", "--max_steps", 200)
    assert_one_line_error(result, "conditional label, not Hat")
