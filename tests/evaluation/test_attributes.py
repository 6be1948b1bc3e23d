"""evaler.py --attributes and --directions. Training leaves the known codes unchanged, in which effects are planted."""

import json

import numpy as np
import pytest
from PIL import Image

import glo
from glo.data.projection import project
from glo.inference.fitting import Fit
from glo.runtime.errors import UserError
from tests.runs import SAME, evaluate, metrics
from tests.support import assert_ok, assert_one_line_error, call, samples, write_flat

N, D = 180, 6
SPLIT = (np.arange(N) % 6 == 5).astype(np.uint8)  # every sixth image is held out
LABELS = np.random.default_rng(1).integers(0, 3, N, np.int32)
SMILING = np.arange(N) % 7 < 3
HAT = np.where(np.arange(N) % 5 == 0, ~SMILING, SMILING)  # most of those who smile wear a hat
ATTRIBUTES = np.stack([SMILING, HAT, np.arange(N) < 4, np.ones(N)], axis=1).astype(np.int8)
NAMES = {"label_names": ["cat", "dog", "cow"], "attribute_names": ["Smiling", "Wearing Hat", "Rare", "Always"]}


def write(folder, **changed):
    """Write a dataset in which each attribute and each label moves the codes along an axis of its own."""
    images, codes = samples(N, (8, 8, 1), D)
    codes = 0.3 * codes
    codes[:, :2] += 0.3 * ATTRIBUTES[:, :2]
    codes[np.arange(N), 2 + LABELS] += 0.3
    arrays = {"label": LABELS, "attribute": ATTRIBUTES, "split": SPLIT, **changed}
    write_flat(
        folder, images, codes, attributes=NAMES, **{key: values for key, values in arrays.items() if values is not None}
    )
    return codes


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with the dataset CATS, a run whose learned codes are the initial codes, and pictures."""
    home = tmp_path_factory.mktemp("home")
    write(home / "datasets/CATS")
    train = ["--max_steps", 2, "--channels", 4, "--alpha", 0, "--sampler", "gaussian"]
    folders = ["--data_dir", home / "datasets", "--train_dir", home / "train_dir"]
    assert_ok(call("trainer.py", *SAME, "--dataset", "CATS", *train, *folders))
    for folder in ("photos", "blank"):
        (home / folder).mkdir()
        for index, image in enumerate(samples(3, (8, 8, 1))[0]):
            Image.fromarray(image[..., 0]).save(home / f"{folder}/{index}.png")
    Image.new("L", (8, 8), 200).save(home / "blank/1.png")
    return home


@pytest.fixture
def run(home, monkeypatch):
    """The run folder; its home is the current directory."""
    monkeypatch.chdir(home)
    (run,) = home.glob("train_dir/*")
    return run


def learned():
    """The learned codes of the training images, and which of them have each attribute."""
    _, codes = samples(N, (8, 8, 1), D)
    codes = 0.3 * codes
    codes[:, :2] += 0.3 * ATTRIBUTES[:, :2]
    codes[np.arange(N), 2 + LABELS] += 0.3
    return codes[SPLIT == 0], ATTRIBUTES[SPLIT == 0] == 1


def edit(run, folder, *args):
    """Run --attributes; returns the arrays of the .npz."""
    evaluate("--checkpoint", run, "--output_dir", folder, *args)
    with np.load(folder / "attributes_default.npz") as file:
        return dict(file)


def test_the_difference_of_the_means_moves_codes_as_the_formula_says(run, tmp_path):
    arrays = edit(
        run, tmp_path, "--attributes", "Smiling,Wearing Hat", "--strengths", "-2,-1,0,1.5", "--direction", "difference"
    )
    assert arrays["edited"].shape == (2, 4, 8, 8, 8, 1)
    assert arrays["attribute"].tolist() == ["Smiling", "Wearing Hat"]
    assert arrays["strength"].tolist() == [-2, -1, 0, 1.5]
    codes, members = learned()
    for k in range(2):
        difference = codes[members[:, k]].mean(axis=0) - codes[~members[:, k]].mean(axis=0)
        for strength, moved in zip(arrays["strength"], arrays["edited_code"][k], strict=True):
            expected = project((arrays["code"] + strength * difference).astype(np.float32), "ball")
            np.testing.assert_allclose(moved, expected, atol=1e-5)
    held_out = samples(N, (8, 8, 1), D)[0][SPLIT == 1]
    assert all((image == held_out).all(axis=(1, 2, 3)).any() for image in arrays["image"])


def test_conditional_edits_move_along_the_planted_axis_and_the_difference_does_not(run, tmp_path):
    moves = {}
    for direction in ("conditional", "difference"):
        arrays = edit(
            run, tmp_path / direction, "--attributes", "Smiling", "--strengths", ".4,.5", "--direction", direction
        )
        moves[direction] = np.abs(np.diff(arrays["edited_code"][0], axis=0)[0].mean(axis=0))
    assert moves["difference"][1] > 0.3 * moves["difference"][0]
    assert moves["conditional"][1] < 0.15 * moves["conditional"][0]


def test_pictures_of_the_user_and_the_animation(run, tmp_path):
    arrays = edit(run, tmp_path, "--attributes", "dog,Smiling", "--images", "photos")
    assert metrics(tmp_path)["attributes"] == {
        "names": ["1 (dog)", "Smiling"], "direction": "conditional", "strengths": [-2, -1, 0, 1, 2], "n": 3,
    }  # fmt: skip
    assert arrays["name"].tolist() == ["0.png", "1.png", "2.png"]
    np.testing.assert_array_equal(arrays["image"], samples(3, (8, 8, 1))[0])
    names = {"attributes_default.png", "attributes_default.gif", "attributes_default.npz", "metrics.json"}
    assert {path.name for path in tmp_path.iterdir()} == names  # nothing is reconstructed besides
    # Two panels of six columns and three rows, with a caption each and one for every column.
    assert Image.open(tmp_path / "attributes_default.png").size == (2 * (6 * 60 + 5 * 8) + 8, 2 * 22 + 2 + 3 * 58)
    animation = Image.open(tmp_path / "attributes_default.gif")
    frames = []
    for index in range(animation.n_frames):
        animation.seek(index)
        frames.append(np.asarray(animation.convert("L")).astype(float)[50:])  # below the captions
    changes = [np.abs(a - b).mean() for a, b in zip(frames, frames[1:] + frames[:1], strict=True)]
    assert changes[-1] <= max(changes[:-1])  # the last frame leads back to the first
    assert np.abs(frames[len(frames) // 2] - frames[0]).mean() > 2 * max(changes)


def test_directions_are_listed_with_their_accuracies(run, tmp_path):
    result = evaluate("--checkpoint", run, "--directions", "--num_fit", 20, "--output_dir", tmp_path)
    measured = metrics(tmp_path)["directions"]
    names = ["0 (cat)", "1 (dog)", "2 (cow)", "Smiling", "Wearing Hat"]
    assert measured["n"] == 20
    assert sorted(measured["of"]) == sorted(names)  # Rare and Always are not
    lines = result.stdout.splitlines()
    assert [line[:11].strip() for line in lines[2:]] == list(measured["of"])
    assert lines[1].split() == ["direction", "share", "accuracy", "balanced", "by", "means"]
    for row in measured["of"].values():
        assert f"{100 * row['balanced']:.1f} %" in result.stdout
    assert measured["of"]["Smiling"]["share"] == SMILING[SPLIT == 0].mean()
    balanced = [row["balanced"] for row in measured["of"].values()]
    assert balanced == sorted(balanced, reverse=True)


def test_accuracies_by_hand(run, tmp_path, monkeypatch):
    """With the planted codes of held-out images in place of fitted ones, all predictions are right."""
    codes = write(tmp_path / "datasets/CATS")
    held_out = codes[SPLIT == 1]
    fit = Fit(held_out, np.zeros(len(held_out)), np.empty((len(held_out), 0), np.float32))
    monkeypatch.setattr("glo.inference.fitter.Fitter.fit", lambda *args: fit)
    evaluate("--checkpoint", run, "--directions", "--output_dir", tmp_path)
    measured = metrics(tmp_path)["directions"]["of"]
    assert all(row["accuracy"] == row["balanced"] == 1 for row in measured.values())
    shuffled = fit._replace(codes=np.roll(held_out, 1, axis=0))
    monkeypatch.setattr("glo.inference.fitter.Fitter.fit", lambda *args: shuffled)
    evaluate("--checkpoint", run, "--directions", "--output_dir", tmp_path)
    row = metrics(tmp_path)["directions"]["of"]["Smiling"]
    predicted, true = np.roll(SMILING[SPLIT == 1], 1), SMILING[SPLIT == 1]
    assert row["accuracy"] == np.mean(predicted == true)
    assert row["balanced"] == (predicted[true].mean() + (~predicted)[~true].mean()) / 2


def test_from_python(run, home):
    model = glo.load(run)
    codes = model.codes[:5]
    edited = model.edit(codes, "Smiling", 0.1)
    assert edited.dtype == np.float32
    change = np.abs(edited - codes).mean(axis=0)
    assert change.argmax() == 0
    assert change[1] < 0.15 * change[0]
    np.testing.assert_allclose(model.edit(codes, "2", 0), codes, atol=1e-7)
    with pytest.raises(ValueError, match="conditional, difference, not 'difrence'"):
        model.edit(codes, "Smiling", 1, "difrence")
    with pytest.raises(ValueError, match="codes must be"):
        model.edit(codes[:, :2], "Smiling", 1)
    with pytest.raises(UserError, match="did you mean Smiling"):
        model.edit(codes, "smiling", 1)
    with pytest.raises(ValueError, match="give the dataset"):
        glo.load(run, data_dir="nowhere").edit(codes, "Smiling", 1)


@pytest.mark.parametrize(
    ("words", "fragments"),
    [
        (["Smilling"], ["--attributes Smilling", "no such label or attribute", "did you mean Smiling?"]),
        (["Smiling,gog"], ["--attributes gog", "did you mean dog?"]),
        (["9"], ["--attributes 9", "0 (cat), 1 (dog), 2 (cow), Smiling"]),
        (["Rare"], ["--attributes Rare: 4 of the training images", "10"]),
        (["Always"], ["--attributes Always: 150 of 150 training images", "as many without it"]),
        (["not:Always"], ["--attributes not:Always: 0 of the training images"]),
        (["not:Smiling"], ["--attributes not:Smiling", "negative strengths"]),
        (["Smiling,,dog"], ["--attributes Smiling,,dog", "missing"]),
        (["x" * 5000], ["no such label or attribute"]),
        (["Smiling", "--strengths", "1,two"], ["--strengths: 'two' is not a number", "-2,-1,0,1,2"]),
        (["Smiling", "--strengths", "-1,nan"], ["--strengths: 'nan' is not a number"]),
        (["Smiling", "--strengths", "-1e9"], ["--strengths: -1e9", "between -100 and 100"]),
        (["Smiling", "--strengths", ",".join("1" * 22)], ["--strengths: give at most 21 numbers, not 22"]),
        (["Smiling", "--direction", "difrence"], ["--direction", "did you mean difference?"]),
        (["Smiling", "--images", "blank"], ["1.png shows nothing"]),
        (["Smiling", "--images", "nowhere"], ["nowhere is not a folder"]),
        (["Smiling", "--denoise", "9"], ["--attributes", "--denoise", "drop one"]),
    ],
)
def test_invalid_input_causes_one_line_errors(run, tmp_path, words, fragments):
    result = call("evaler.py", "--checkpoint", run, "--output_dir", tmp_path / "out", "--attributes", *words)
    assert len(assert_one_line_error(result, *fragments)) < 500
    assert not (tmp_path / "out").exists()


def test_datasets_that_lack_something(run, home, tmp_path):
    datasets = {
        "bare": ({"label": None, "attribute": None}, ["no labels and no attributes", "drop --"]),
        "same": ({"label": np.zeros(N, np.int32), "attribute": ATTRIBUTES[:, 3:].repeat(4, axis=1)}, ["almost all"]),
    }
    for name, (changed, fragments) in datasets.items():
        write(tmp_path / name / "CATS", **changed)
        for task in (["--directions"], ["--attributes", "Smiling"]):
            result = call("evaler.py", "--checkpoint", run, "--data_dir", tmp_path / name, *task)
            assert_one_line_error(result, *fragments, task[0])


def test_without_held_out_images(home, tmp_path, monkeypatch):
    monkeypatch.chdir(home)
    write(tmp_path / "datasets/ALL", split=np.zeros(N, np.uint8))
    folders = ["--data_dir", tmp_path / "datasets", "--train_dir", tmp_path / "train_dir"]
    assert_ok(call("trainer.py", *SAME, "--dataset", "ALL", "--max_steps", 2, "--channels", 4, *folders))
    command = ["evaler.py", "--dataset", "ALL", *folders]
    assert_one_line_error(call(*command, "--directions"), "--directions", "no held-out images")
    assert_one_line_error(call(*command, "--attributes", "dog"), "--attributes", "no held-out images", "--images DIR")
    assert_ok(call(*command, "--attributes", "dog", "--images", "photos", "--fit_steps", 5))
    (out,) = tmp_path.glob("train_dir/*/eval-2")
    assert json.loads((out / "metrics.json").read_text())["attributes"]["n"] == 3
