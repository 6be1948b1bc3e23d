"""Restoring images: noise and errors by their formulas, and evaler.py with pictures, masks and noise."""

import os

import numpy as np
import pytest
from PIL import Image

from glo.evaluation import restore
from tests.runs import FAST_FIT, SAME, evaluate, metrics
from tests.support import assert_ok, assert_one_line_error, call, samples, write_flat


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with a dataset of smooth images, a run trained on it, two pictures, a damaged one, and a mask."""
    home = tmp_path_factory.mktemp("home")
    random = np.random.default_rng(0)
    codes = random.uniform(-0.5, 0.5, (200, 3)).astype(np.float32)
    waves = np.cos(np.arange(64).reshape(8, 8) / np.array([3.0, 7.0, 20.0])[:, None, None])
    images = np.clip(128 + 160 * np.tensordot(codes, waves, 1), 0, 255).astype(np.uint8)[..., None]
    write_flat(home / "datasets/WAVES", images, codes)
    folders = ["--data_dir", home / "datasets", "--train_dir", home / "train_dir"]
    train = ["--dataset", "WAVES", "--channels", 8, "--max_steps", 150, "--epochs", 100, "--batch_size", 32]
    assert_ok(call("trainer.py", *SAME, *train, *folders))
    (home / "mine").mkdir()
    for index in (0, 1):
        enlarged = images[index, ..., 0].repeat(4, 0).repeat(5, 1)  # 32x40: a strip on each side is cropped
        Image.fromarray(enlarged).convert("RGB").save(home / f"mine/{index}.png")
    (home / "mine/damaged.png").write_bytes(b"no picture")
    mask = np.zeros((16, 16), np.uint8)
    mask[6:10, 4:12] = 255
    Image.fromarray(mask).save(home / "mask.png")
    return home


@pytest.fixture
def waves(home, monkeypatch):
    """The flags that name the dataset, with its folder as the current directory."""
    monkeypatch.chdir(home)
    return ["--dataset", "WAVES"]


def psnr(a, b):
    """PSNR [dB] between images uint8, over all pixels."""
    return 10 * np.log10(1 / np.mean(np.square(a.astype(float) / 255 - b.astype(float) / 255)))


def test_noise_has_the_given_deviation_and_stays_in_range():
    grey = np.full((50, 8, 8, 3), 128, np.uint8)
    noise = restore.noisy(grey, 20.0, np.random.default_rng(0)).astype(float) - 128
    assert noise.mean() == pytest.approx(0, abs=0.5)
    assert noise.std() == pytest.approx(20, rel=0.02)
    bright = restore.noisy(np.full((50, 8, 8, 1), 255, np.uint8), 20.0, np.random.default_rng(0))
    assert 0.45 < (bright == 255).mean() < 0.55  # clipped; 8-bit arithmetic would overflow


def test_errors_are_averaged_over_the_hole():
    a, _ = samples(4, (5, 6, 3), seed=1)
    b, _ = samples(4, (5, 6, 3), seed=2)
    hole = np.random.default_rng(3).random((5, 6, 1)) < 0.3
    squares = np.square(a.astype(float) - b) / 255**2
    np.testing.assert_allclose(restore.squared_errors(a, b), squares.mean(axis=(1, 2, 3)), rtol=1e-5)
    inside = [[squares[i, y, x, c] for y, x, _ in np.argwhere(hole) for c in range(3)] for i in range(4)]
    np.testing.assert_allclose(restore.squared_errors(a, b, hole), np.mean(inside, axis=1), rtol=1e-5)


def test_pictures_of_the_user(waves, home, tmp_path):
    log = evaluate(*waves, "--images", "mine", "--output_dir", tmp_path).stderr
    assert "damaged.png" in log
    assert {path.name for path in tmp_path.iterdir()} == {"images_default.png", "images_default.npz", "metrics.json"}
    with np.load(tmp_path / "images_default.npz") as file:
        image, reconstruction, code, name = (file[key] for key in ("image", "reconstruction", "code", "name"))
    assert image.shape == reconstruction.shape == (2, 8, 8, 1)
    assert code.shape == (2, 3)
    assert name.tolist() == ["0.png", "1.png"]
    results = metrics(tmp_path)["images"]
    assert results["n"] == 2
    assert results["prior"] == 0
    assert results["psnr"] == pytest.approx(psnr(image, reconstruction), abs=1e-3)
    assert results["files"]["1.png"] == pytest.approx(psnr(image[1], reconstruction[1]), abs=1e-3)
    assert results["psnr"] > 18


def test_inpainting_changes_only_the_hole_and_does_not_use_its_pixels(waves, home, tmp_path):
    evaluate(*waves, "--inpaint", "mask.png", "--images", "mine", "--prior", 0.001, "--output_dir", tmp_path)
    hole = np.zeros((8, 8, 1), bool)
    hole[3:5, 2:6] = True
    with np.load(tmp_path / "inpaint_default.npz") as file:
        image, given, filled = file["image"], file["given"], file["reconstruction"]
    np.testing.assert_array_equal(given, np.where(hole, 128, image))
    np.testing.assert_array_equal(filled[:, ~hole[..., 0]], image[:, ~hole[..., 0]])
    results = metrics(tmp_path)["inpaint"]
    assert results["prior"] == 0.001
    assert results["psnr"] == pytest.approx(psnr(image[:, hole[..., 0]], filled[:, hole[..., 0]]), abs=1e-3)
    assert results["psnr"] > psnr(image[:, hole[..., 0]], given[:, hole[..., 0]])
    codes = []
    for folder, inside in (("original", image), ("inverted", 255 - image)):
        (home / folder).mkdir()
        for index, pixels in enumerate(np.where(hole, inside, image)):
            Image.fromarray(pixels[..., 0]).save(home / folder / f"{index}.png")
        evaluate(*waves, "--inpaint", "mask.png", "--images", folder, "--output_dir", tmp_path / folder)
        codes.append(np.load(tmp_path / folder / "inpaint_default.npz")["code"])
    np.testing.assert_array_equal(*codes)


def test_held_out_images_with_holes_and_with_noise(waves, tmp_path):
    evaluate(*waves, "--inpaint", "mask.png", "--reconstruct", "--output_dir", tmp_path)
    evaluate(*waves, "--denoise", 60, "--output_dir", tmp_path)
    evaluate(*waves, "--denoise", 60, "--output_dir", tmp_path / "again")
    results = metrics(tmp_path)
    assert results["inpaint"]["n"] == results["denoise"]["n"] == 20
    assert results["inpaint"]["prior"] > 0
    assert "train" not in results
    assert results["denoise"]["psnr"] > results["denoise"]["noisy_psnr"] + 2
    assert results["denoise"] == metrics(tmp_path / "again")["denoise"]
    with np.load(tmp_path / "denoise_default.npz") as file:
        noisy = psnr(file["image"], file["given"])
        np.testing.assert_array_equal(np.load(tmp_path / "inpaint_default.npz")["image"], file["image"])
    assert results["denoise"]["noisy_psnr"] == pytest.approx(noisy, abs=1e-3)
    evaluate(*waves, "--denoise", 0, "--images", "mine", "--output_dir", tmp_path)
    assert metrics(tmp_path)["denoise"]["prior"] > 0
    assert "noisy_psnr" not in metrics(tmp_path)["denoise"]


def test_invalid_input_causes_one_line_errors(waves, home, tmp_path):
    def fails(*fragments, flags):
        assert_one_line_error(call("evaler.py", *waves, *flags, *FAST_FIT), *fragments)

    fails("--inpaint and --denoise", flags=["--inpaint", "mask.png", "--denoise", 5])
    fails("nowhere.png", "No such file", flags=["--inpaint", "nowhere.png"])
    fails("mine/damaged.png", flags=["--inpaint", "mine/damaged.png"])
    fails("nowhere", "is not a folder", flags=["--images", "nowhere"])
    fails("--prior must be at least 0", flags=["--prior", -1])
    fails("--denoise must be at most 255", flags=["--denoise", 256])
    for value, word in ((0, "nowhere"), (255, "everywhere")):
        Image.new("L", (8, 8), value).save(tmp_path / "mask.png")
        fails(f"white {word}", flags=["--inpaint", tmp_path / "mask.png"])
    (tmp_path / "unreadable").mkdir()
    (tmp_path / "unreadable/a.png").write_bytes(b"no picture")
    fails("none of the 1 pictures", flags=["--images", tmp_path / "unreadable"])
    os.mkfifo(tmp_path / "fifo.png")
    for path in (tmp_path / "fifo.png", "/dev/zero"):
        fails(path, "not a regular file", flags=["--inpaint", path])
        fails(path, "is not a folder", flags=["--images", path])
    fails("File name too long", flags=["--images", "x" * 300])
    fails("File name too long", flags=["--inpaint", "x" * 300])


def test_no_held_out_images_to_restore(home, monkeypatch):
    monkeypatch.chdir(home)
    images, codes = samples(12, (8, 8, 1), 3)
    write_flat(home / "datasets/ALL", images, codes)
    train = ["--dataset", "ALL", "--test_fraction", 0, "--max_steps", 2, "--channels", 4]
    assert_ok(call("trainer.py", *SAME, *train))
    assert_one_line_error(call("evaler.py", "--dataset", "ALL", "--denoise", 9), "no held-out images", "--images")
    evaluate("--dataset", "ALL", "--images", "mine")
