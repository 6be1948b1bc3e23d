"""evaler.py --projector and --neighbors, on images whose codes are known and do not move."""

import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from sklearn.neighbors import KNeighborsClassifier

import glo
from glo.evaluation import neighbors, requirements
from tests.runs import SAME
from tests.support import assert_ok, assert_one_line_error, call, load, samples, write_flat

N, D = 90, 4
LABELS = (np.arange(N) * 7 % 3).astype(np.int32)
TRAIN = np.arange(N) % 6 != 5


def contents():
    """Images and codes in three classes that are not well apart."""
    images, codes = samples(N, (8, 8, 1), D)
    codes[np.arange(N), LABELS] += 0.15
    return (images // 2 + 15 * LABELS[:, None, None, None]).astype(np.uint8), codes


def write(folder, n=N, **changed):
    """A dataset of `contents`; every sixth image is held out."""
    images, codes = contents()
    arrays = {"label": LABELS, "split": (~TRAIN).astype(np.uint8), **changed}
    kept = {key: values[:n] for key, values in arrays.items() if values is not None}
    write_flat(folder, images[:n], codes[:n], ids=[f"id {row}" for row in range(n)], **kept)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    write(home / "datasets" / "CATS")
    train = ["--max_steps", 2, "--channels", 4, "--alpha", 0, "--sampler", "gaussian"]
    folders = ["--data_dir", home / "datasets", "--train_dir", home / "train_dir"]
    assert_ok(call("trainer.py", *SAME, "--dataset", "CATS", *train, *folders))
    return home


@pytest.fixture
def run(home, monkeypatch):
    monkeypatch.chdir(home)
    (run,) = home.glob("train_dir/*")
    return run


def evaluate(run, *args):
    result = call("evaler.py", "--checkpoint", run, "--fit_steps", 2, *args)
    assert_ok(result)
    return result.stderr


def read(folder):
    lines = [line.split("\t") for line in (folder / "projector/metadata.tsv").read_text().splitlines()]
    return np.loadtxt(folder / "projector/codes.tsv", delimiter="\t"), lines


def test_training_images_held_out_images_and_samples_beside_the_events(run):
    log = evaluate(run, "--projector", "--num_fit", 10, "--num_samples", 6)
    assert f"75 training, 10 held-out, 6 sample; next: tensorboard --logdir {run}" in log
    codes, (header, *lines) = read(run)
    learned = tf.train.load_checkpoint(str(run / "model-2")).get_tensor("table/codes")
    np.testing.assert_allclose(codes[:75], learned, rtol=1e-6)
    assert header == ["label", "kind", "id"]
    assert lines[:75] == [[str(LABELS[row]), "training", f"id {row}"] for row in np.flatnonzero(TRAIN)]
    for label, kind, name in lines[75:85]:
        row = int(name.removeprefix("id "))
        assert (label, kind, TRAIN[row]) == (str(LABELS[row]), "held-out", False)
    assert lines[85:] == [["-", "sample", f"sample {index}"] for index in range(6)]
    sprite = np.asarray(Image.open(run / "projector/sprite.png"))
    images, _ = contents()
    for index, row in enumerate(np.flatnonzero(TRAIN)):
        top, left = 8 * (index // 10), 8 * (index % 10)
        np.testing.assert_array_equal(sprite[top : top + 8, left : left + 8], images[row, ..., 0])
    metrics = json.loads((run / "eval-2/metrics.json").read_text())
    assert metrics["projector"] == {"training": 75, "held-out": 10, "sample": 6}


def test_a_seeded_choice_in_another_folder(run, tmp_path, monkeypatch):
    monkeypatch.setattr("glo.evaluation.projector.PROJECTED", 30)
    for folder, seed in (("a", 0), ("b", 0), ("c", 1)):
        evaluate(run, "--projector", "--num_samples", 1, "--output_dir", tmp_path / folder, "--seed", seed)
    a, b, c = (read(tmp_path / folder)[1] for folder in "abc")
    assert a == b
    assert a[:31] != c[:31]
    assert sum(line[1] == "training" for line in a) == 30


def test_k_nearest_neighbors_classify_as_scikit_learns(run, tmp_path):
    evaluate(run, "--neighbors", "--output_dir", tmp_path)
    measured = json.loads((tmp_path / "metrics.json").read_text())["neighbors"]
    assert (measured["train"]["n"], measured["test"]["n"]) == (75, 15)
    images, _ = contents()
    points = {
        "codes": tf.train.load_checkpoint(str(run / "model-2")).get_tensor("table/codes"),
        "pixels": images[TRAIN].reshape(75, -1).astype(float),
    }
    for space, known in points.items():
        assert list(measured["train"][space]) == list(measured["test"][space]) == ["1", "5", "20"]
        right = [
            KNeighborsClassifier(1)
            .fit(np.delete(known, row, 0), np.delete(LABELS[TRAIN], row))
            .predict(known[row : row + 1])[0]
            == LABELS[TRAIN][row]
            for row in range(75)
        ]
        assert measured["train"][space]["1"] == pytest.approx(np.mean(right))
        assert 0.3 < np.mean(right) < 1
    held_out = images[~TRAIN].reshape(15, -1).astype(float)
    expected = KNeighborsClassifier(1).fit(points["pixels"], LABELS[TRAIN]).score(held_out, LABELS[~TRAIN])
    assert measured["test"]["pixels"]["1"] == pytest.approx(expected)
    picture = np.asarray(Image.open(tmp_path / "neighbors_default.png"))
    assert picture.shape[0] > 2 * 10 * 56
    assert picture.std() > 20


def test_an_image_is_not_its_own_neighbor():
    # The second and the third point are the same, and the fourth one is hidden by duplicates.
    others = neighbors._others(np.array([0, 2, 9]), np.array([[0, 4, 5], [1, 2, 3], [6, 7, 8]]))
    np.testing.assert_array_equal(others, [[4, 5], [1, 3], [6, 7]])


def test_without_labels_there_is_the_picture_and_one_line(home, run, tmp_path):
    write(home / "bare" / "CATS", label=None)
    log = evaluate(run, "--neighbors", "--projector", "--data_dir", home / "bare", "--output_dir", tmp_path)
    assert log.count("has no labels: the neighbors are shown, and nothing is classified") == 1
    assert json.loads((tmp_path / "metrics.json").read_text())["neighbors"] == {}
    assert (tmp_path / "neighbors_default.png").exists()
    assert read(tmp_path)[1][0] == ["kind", "id"]


def test_from_python(run, home, tmp_path):
    model = glo.load(run, data_dir=home / "datasets")
    distances, rows = model.neighbors(model.codes[[3, 8]], k=4)
    expected = np.linalg.norm(model.codes[[3, 8], None] - model.codes, axis=2)
    np.testing.assert_array_equal(rows, np.argsort(expected, axis=1)[:, :4])
    np.testing.assert_allclose(distances, np.sort(expected, axis=1)[:, :4], atol=1e-6)
    with pytest.raises(ValueError, match=r"\[n, 4\]"):
        model.neighbors(np.zeros((2, 5)))
    assert model.write_projector(tmp_path, n=20) == tmp_path
    codes, lines = read(tmp_path)
    assert (len(codes), len(lines), lines[0]) == (20, 21, ["label", "kind", "id"])
    alone = glo.load(run, data_dir=tmp_path / "nowhere")
    alone.write_projector(tmp_path, n=20)
    again, lines = read(tmp_path)
    np.testing.assert_array_equal(codes, again)
    assert lines[0] == ["kind", "id"]


def test_bad_input_gets_one_line(run, tmp_path, monkeypatch):
    ask = ["evaler.py", "--checkpoint", run, "--fit_steps", 2, "--output_dir"]
    (tmp_path / "file").touch()
    for flag in ("--projector", "--neighbors"):
        assert_one_line_error(call(*ask, tmp_path / "file", flag), "cannot write", "file")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/projector_config.pbtxt").write_text("embeddings {}")
    assert_one_line_error(call(*ask, tmp_path / "mine", "--projector"), "projector_config.pbtxt", "--force")
    assert (tmp_path / "mine/projector_config.pbtxt").read_text() == "embeddings {}"
    assert_ok(call(*ask, tmp_path / "mine", "--projector", "--force"))
    assert read(tmp_path / "mine")[1]
    many = call(*ask, tmp_path / "many", "--projector", "--num_samples", 100_000)
    assert_one_line_error(many, "100000 points, not 100090", "--num_samples")
    assert_one_line_error(call("evaler.py", "--compare", run, "--neighbors"), "drop")
    write(tmp_path / "CATS")
    line = load(tmp_path, "CATS", dimension=1)
    with pytest.raises(requirements.UserError, match="no codes of 1 dimension"):
        requirements.check_dataset(requirements.EvalSettings(dataset="CATS", projector=True), line)
    requirements.check_dataset(requirements.EvalSettings(dataset="CATS", neighbors=True), line)
    write(tmp_path / "CATS", n=2, split=np.array([0, 1], np.uint8))
    one = load(tmp_path, "CATS")
    for flag in ("projector", "neighbors"):
        with pytest.raises(requirements.UserError, match=f"--{flag} needs 2 training images or more, .* has 1"):
            requirements.check_dataset(requirements.EvalSettings(dataset="CATS", **{flag: True}), one)
