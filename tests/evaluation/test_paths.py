"""evaler.py --interpolate --path and --analogy: their files, their numbers of images, and invalid input."""

import json

import numpy as np
import pytest
from PIL import Image

import glo
from bench import paths as bench
from glo.features import trained
from glo.runtime import errors
from tests.runs import SAME, evaluate, metrics
from tests.support import assert_ok, assert_one_line_error, call, samples, write_flat

N = 40  # training images


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with a labelled dataset of random images of 8x8, a run of 3 steps, and pictures."""
    home = tmp_path_factory.mktemp("home")
    images, codes = samples(N + 12, (8, 8, 1), 4)
    split, labels = (np.arange(N + 12) >= N).astype(np.uint8), np.arange(N + 12, dtype=np.int32) % 2
    write_flat(home / "datasets/TOY", images, codes, split=split, label=labels)
    folders = ["--data_dir", home / "datasets", "--train_dir", home / "train_dir"]
    assert_ok(call("trainer.py", *SAME, "--dataset", "TOY", "--channels", 4, "--max_steps", 3, *folders))
    for name, image in zip("abc", images, strict=False):
        Image.fromarray(image[..., 0]).resize((16, 16), Image.Resampling.NEAREST).save(home / f"{name}.png")
    Image.new("L", (9, 9), 77).save(home / "blank.png")
    (home / "damaged.png").write_bytes(b"no picture")
    return home


@pytest.fixture
def toy(home, monkeypatch):
    """The flags that name the dataset, with its folder as the current directory."""
    monkeypatch.chdir(home)
    return ["--dataset", "TOY"]


def heights(folder):
    """Heights of the pictures of --interpolate in a folder, which has one panel for each path."""
    return Image.open(folder / "interpolate_default.png").height


def test_the_paths_that_are_drawn(toy, tmp_path):
    flags = {"default": [], "line": ["--path", "line"], "graph": ["--path", "graph"], "all": ["--path", "all"]}
    for name, flag in flags.items():
        evaluate(*toy, "--interpolate", "--pairs", "3,17", "5,5", *flag, "--output_dir", tmp_path / name)
        assert metrics(tmp_path / name)["interpolate"]["pairs"] == [[3, 17], [5, 5]]
    line, default, graph, every = (heights(tmp_path / name) for name in ("line", "default", "graph", "all"))
    assert default == graph
    assert default - line == every - default > 0
    assert Image.open(tmp_path / "graph/interpolate_default.gif").n_frames > 5
    default_picture, graph_picture = (
        np.asarray(Image.open(tmp_path / name / "interpolate_default.png")) for name in ("default", "graph")
    )
    np.testing.assert_array_equal(default_picture[:line], graph_picture[:line])  # the straight line
    assert not np.array_equal(default_picture[line:], graph_picture[line:])


@pytest.mark.parametrize("words", [["3,17,30"], ["3", "17", "30"]])
def test_an_analogy_of_training_images(toy, tmp_path, words):
    evaluate(*toy, "--analogy", *words, "--output_dir", tmp_path)
    assert metrics(tmp_path)["analogy"] == {"rows": [3, 17, 30]}
    assert {path.name for path in tmp_path.iterdir()} == {"analogy_default.png", "analogy_default.gif", "metrics.json"}
    assert np.asarray(Image.open(tmp_path / "analogy_default.png")).std() > 40  # not blank
    animation = Image.open(tmp_path / "analogy_default.gif")
    frames = []
    for index in range(animation.n_frames):
        animation.seek(index)
        frames.append(np.asarray(animation.convert("L")).astype(float))
    changes = [
        np.abs(frame - following).mean() for frame, following in zip(frames, frames[1:] + frames[:1], strict=True)
    ]
    assert changes[-1] <= max(changes[:-1])  # the last frame leads back to the first
    assert np.abs(frames[len(frames) // 2] - frames[0]).mean() > 2 * max(changes)


def test_an_analogy_of_pictures(toy, tmp_path):
    pictures = ["a.png", "b.png", "c.png"]
    evaluate(*toy, "--analogy", *pictures, "--output_dir", tmp_path / "three")
    assert metrics(tmp_path / "three")["analogy"] == {"pictures": pictures}
    evaluate(*toy, "--analogy", "a.png", "a.png", "a.png", "--output_dir", tmp_path / "same")
    grid = np.asarray(Image.open(tmp_path / "same/analogy_default.png"))[22:, 66:]  # without captions and originals
    cells = [grid[2 + 58 * row : 58 + 58 * row, 2 + 58 * column : 58 + 58 * column] for row, column in [(0, 0), (3, 5)]]
    np.testing.assert_allclose(*(cell.astype(int) for cell in cells), atol=4)  # equal up to rounding


def test_from_python(toy, home):
    (folder,) = home.glob("train_dir/*")
    run = glo.load(folder)
    codes, images = run.analogy(run.codes[:3], steps=5)
    assert codes.shape == (5, 5, 4)
    np.testing.assert_allclose(codes[[0, 0, 4], [0, 4, 0]], run.codes[:3], atol=1e-6)
    np.testing.assert_allclose(codes[2, 2], codes[[0, 0, 4, 4], [0, 4, 0, 4]].mean(axis=0), atol=1e-6)
    # Up to rounding, which may depend on the number of images in a batch.
    np.testing.assert_allclose(images[4, 4].astype(int), run.decode(codes[4, 4:])[0], atol=1)
    codes, images = run.interpolate(run.codes[:2], run.codes[2:4], "graph", steps=4)
    np.testing.assert_array_equal(codes[:, 0], run.codes[:2])
    np.testing.assert_allclose(images[1].astype(int), run.decode(codes[1]), atol=1)
    for bad in (run.codes[:2], run.codes[:3, :3]):
        with pytest.raises(ValueError, match="codes must be"):
            run.analogy(bad)
    with pytest.raises(ValueError, match=r"line, arc, graph.*'grpah'"):
        run.interpolate(run.codes[:2], run.codes[2:4], "grpah")


def test_middles_of_paths_are_measured(toy, home, monkeypatch, capsys):
    monkeypatch.setattr(trained, "MIN_STEPS", 2)
    (folder,) = home.glob("train_dir/*")
    assert errors.run(lambda: bench.main([str(folder), "--num", "20"])) == 0
    measured = json.loads(capsys.readouterr().out)
    assert measured["pairs"] == 12  # as many as there are held-out images
    assert all(np.isfinite(measured[path]["frechet"]) for path in ("line", "arc", "graph", "reconstructions", "floor"))
    assert all(0 <= measured[path]["memorisation_share"] <= 1 for path in ("line", "arc", "graph", "reconstructions"))
    assert errors.run(lambda: bench.main([str(folder), "--data_dir", "nowhere"])) == 2
    assert "--data_dir" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ("words", "fragments"),
    [
        (["3,17"], ["--analogy 3,17", "three training images", "a.png b.png c.png"]),
        (["3,17,40"], ["--analogy 3,17,40", "0 to 39"]),
        (["3,-1,4"], ["three training images"]),
        (["a.png", "b.png"], ["three pictures"]),
        (["a.png", "b.png", "nowhere.png"], ["nowhere.png", "No such file"]),
        (["a.png", "damaged.png", "c.png"], ["damaged.png", "not a picture"]),
        (["a.png", "b.png", "."], ["cannot read the picture ."]),
        (["a.png", "blank.png", "c.png"], ["blank.png", "all its pixels are equal"]),
    ],
)
def test_invalid_analogies(toy, tmp_path, words, fragments):
    assert_one_line_error(call("evaler.py", *toy, "--analogy", *words, "--output_dir", tmp_path), *fragments)
    assert not list(tmp_path.iterdir())


def test_an_unknown_path(toy):
    assert_one_line_error(call("evaler.py", *toy, "--interpolate", "--path", "grpah"), "--path", "did you mean graph")


def test_images_that_stay_in_the_file(toy, tmp_path):
    for name, limit in (("held", []), ("streamed", ["--memory_limit", "1K"])):
        evaluate(*toy, "--analogy", "17,3,17", *limit, "--output_dir", tmp_path / name)
    held, streamed = ((tmp_path / name / "analogy_default.png").read_bytes() for name in ("held", "streamed"))
    assert held == streamed
