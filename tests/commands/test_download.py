"""download.py as users run it, in a process of its own."""

import importlib
import os
import resource
import shutil
import signal
import subprocess
import sys
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

import datasets
import download
from glo.building.build import build
from glo.data.block import Block
from glo.runtime.errors import UserError
from glo.settings import BuildSettings
from tests import support
from tests.support import ROOT, assert_ok, assert_one_line_error, call, samples, write_flat, write_grouped

COMMAND = "download.py"


def contents(path):
    """The arrays and attributes of a dataset file."""
    with h5py.File(path) as file:
        return {name: file[name][:] for name in file}, support.attributes_of(file)


def run(tmp_path, *args, **options):
    return support.run(COMMAND, *args, cwd=tmp_path, **options)


def listing(folder):
    return sorted(os.listdir(folder))


def write_mnist(folder):
    """Write a small MNIST, 30 training and 7 test images of 8x8, in the format of the unpacked official files."""
    shapes = {"train-images-idx3": (30, 8, 8), "train-labels-idx1": (30,)}
    shapes |= {"t10k-images-idx3": (7, 8, 8), "t10k-labels-idx1": (7,)}
    folder.mkdir()
    for name, shape in shapes.items():
        header = bytes((0, 0, 8, len(shape))) + b"".join(side.to_bytes(4, "big") for side in shape)
        values = np.random.default_rng(0).integers(0, 10, shape, np.uint8)
        (folder / f"{name}-ubyte").write_bytes(header + values.tobytes())


GAUSSIAN = ("--distribution", "Gaussian")  # a third of the start-up time of PCA
MNIST = ("--datasets", "MNIST", "--source", "files", *GAUSSIAN)


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """The folder of DIGITS with PCA codes of 10 dimensions."""
    folder = tmp_path_factory.mktemp("digits")
    assert_ok(run(folder, "--datasets", "DIGITS", "--dimension", 10))
    return folder / "datasets" / "digits"


@pytest.fixture(scope="module")
def mnist(tmp_path_factory):
    """A folder with small MNIST files and the dataset built from them in datasets/mnist."""
    folder = tmp_path_factory.mktemp("mnist")
    write_mnist(folder / "files")
    assert_ok(run(folder, *MNIST, "--dimension", 10))
    return folder


@pytest.fixture
def old(mnist, tmp_path):
    """A copy of the folder `mnist` in tmp_path; returns the path of its data file and the content of the file."""
    shutil.copytree(mnist, tmp_path, dirs_exist_ok=True)
    path = tmp_path / "datasets" / "mnist" / "data.hdf5"
    return path, path.read_bytes()


def assert_untouched(old):
    path, content = old
    assert path.read_bytes() == content
    assert listing(path.parent) == ["data.hdf5", "id.txt"]


# --- known datasets -----------------------------------------------------------------------------------------------


def test_digits_with_pca_codes(digits):
    arrays, attributes = contents(digits / "data.hdf5")
    original = load_digits()
    np.testing.assert_array_equal(arrays["image"][..., 0], np.rint(original.images * 255 / 16))
    np.testing.assert_array_equal(arrays["label"], original.target)
    assert np.bincount(arrays["split"]).tolist() == [1617, 180]
    assert (digits / "id.txt").read_text().split() == [str(row) for row in range(1797)]
    assert listing(digits) == ["data.hdf5", "id.txt"]
    expected = {"name": "DIGITS", "distribution": "PCA", "dimension": 10, "seed": 0, "schema": 1, "code_norm": "ball"}
    assert expected.items() <= attributes.items()
    # Codes of all rows by an SVD of the training rows only.
    pixels = arrays["image"].reshape(1797, 64) / 255.0
    train = pixels[arrays["split"] == 0]
    components = np.linalg.svd(train - train.mean(axis=0), full_matrices=False)[2][:10]
    expected = (pixels - train.mean(axis=0)) @ components.T
    expected /= np.percentile(np.linalg.norm(expected[arrays["split"] == 0], axis=1), 95)
    expected /= np.maximum(1, np.linalg.norm(expected, axis=1, keepdims=True))
    codes = arrays["code"] * np.sign((arrays["code"] * expected).sum(axis=0))
    np.testing.assert_allclose(codes, expected, atol=1e-4)


@pytest.mark.parametrize(("distribution", "kurtosis"), [("Gaussian", 3.0), ("Uniform", 1.8)])
def test_digits_with_random_codes(tmp_path, distribution, kurtosis):
    flags = ("--datasets", "DIGITS", "--distribution", distribution)
    assert_ok(run(tmp_path, *flags, "--dimension", 25, "--data_dir", "new/place", "--seed", 3))
    codes = contents(tmp_path / "new" / "place" / "digits" / "data.hdf5")[0]["code"].astype(float)
    assert codes.shape == (1797, 25)
    # Nearly all codes are drawn outside the ball, with norms near 5 (Gaussian) or 2.9 (Uniform), and projected onto it.
    np.testing.assert_allclose(np.linalg.norm(codes, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(codes.mean(axis=0), 0, atol=0.03)
    np.testing.assert_allclose((codes**2).mean(axis=0), 1 / 25, atol=0.008)
    assert (codes**4).mean() / (codes**2).mean() ** 2 == pytest.approx(kurtosis, abs=0.3)
    assert len(np.unique(codes, axis=0)) == 1797


def test_unit_norm_and_test_fraction(tmp_path):
    np.savez(tmp_path / "cats.npz", image=samples(50)[0])
    flags = ("--npz", "cats.npz", "--name", "CATS", "--distribution", "Uniform", "--dimension", 2)
    assert_ok(run(tmp_path, *flags))
    path = tmp_path / "datasets" / "CATS" / "data.hdf5"
    inside, _ = contents(path)
    assert (np.linalg.norm(inside["code"], axis=1) < 0.99).mean() == pytest.approx(np.pi / 4, abs=0.2)
    assert inside["split"].sum() == 5
    assert_ok(run(tmp_path, *flags, "--code_norm", "unit", "--test_fraction", 0.5, "--force"))
    unit, attributes = contents(path)
    np.testing.assert_allclose(np.linalg.norm(unit["code"], axis=1), 1, atol=1e-6)
    assert unit["split"].sum() == 25
    assert (attributes["code_norm"], attributes["test_fraction"]) == ("unit", 0.5)


def test_building_again_with_the_same_settings_changes_nothing(old, tmp_path):
    before = old[0].stat().st_mtime_ns
    for flags in ((), ("--dimension", 10, "--seed", 0)):
        assert "already exists with these settings" in assert_ok(run(tmp_path, *MNIST, *flags))
    assert old[0].stat().st_mtime_ns == before
    assert_untouched(old)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--dimension", 11), "dimension 10"),
        (("--distribution", "Uniform"), "distribution Gaussian"),
        (("--seed", 1), "seed 0"),
        (("--code_norm", "unit"), "code_norm ball"),
        (("--test_fraction", 0.2), "test_fraction 0.1"),
    ],
)
def test_other_settings_need_force(old, tmp_path, flags, words):
    result = run(tmp_path, *MNIST, *flags)
    assert_one_line_error(result, old[0].relative_to(tmp_path), f"already exists with {words}: add --force")
    assert_untouched(old)


def test_force_replaces_and_the_same_seed_gives_the_same_file(old, tmp_path):
    assert_ok(run(tmp_path, *MNIST, "--dimension", 5, "--force"))
    assert contents(old[0])[0]["code"].shape == (37, 5)
    assert_ok(run(tmp_path, *MNIST, "--dimension", 10, "--force"))
    (tmp_path / "was.hdf5").write_bytes(old[1])
    (arrays, attributes), (before, attributes_before) = contents(old[0]), contents(tmp_path / "was.hdf5")
    assert attributes == attributes_before
    for name, values in before.items():
        np.testing.assert_array_equal(arrays[name], values)


def test_a_damaged_old_file_is_reported_and_can_be_replaced(old, tmp_path):
    old[0].write_bytes(old[1][:5000])
    assert_one_line_error(run(tmp_path, *MNIST), "not a valid HDF5 file", "--force")
    assert_ok(run(tmp_path, *MNIST, "--dimension", 10, "--force"))
    assert contents(old[0])[0]["code"].shape == (37, 10)


def test_several_names(tmp_path):
    write_mnist(tmp_path / "files")
    log = assert_ok(
        run(tmp_path, "--datasets", "DIGITS", "MNIST", "digits", "--source", "files", "--dimension", 3, *GAUSSIAN)
    )
    assert listing(tmp_path / "datasets") == ["digits", "mnist"]
    arrays, attributes = contents(tmp_path / "datasets" / "mnist" / "data.hdf5")
    assert arrays["split"].tolist() == [0] * 30 + [1] * 7
    assert arrays["code"].shape == (37, 3)
    assert attributes["name"] == "MNIST"
    assert "not the official" in log


# --- errors -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ((), ["give one of --datasets, --images, --npz, --convert, --info or --verify", "MNIST"]),
        (("--datasets",), ["--datasets", "expected at least one argument"]),
        (("--datasets", "DIGITS", "MINST"), ["unknown dataset MINST", "did you mean MNIST?"]),
        (("--datasets", "DIGITS", "--npz", "x.npz"), ["give one of"]),
        (("--datasets", "DIGITS", "--distribution", "pca"), ["--distribution must be one of PCA, Gaussian, Uniform"]),
        (("--datasets", "DIGITS", "--dimension", "65"), ["--dimension 65", "at most --dimension 64"]),
        (("--datasets", "DIGITS", "--dimension", "0"), ["--dimension must be at least 1"]),
        (("--datasets", "DIGITS", "--dimesion", "3"), ["unknown flag --dimesion, did you mean --dimension?"]),
        (("--images", "nowhere"), ["--images needs --name"]),
        (("--images", "nowhere", "--name", "CATS"), ["nowhere is not a folder"]),
        (("--images", ".", "--name", "CATS", "--channels", "2"), ["--channels must be one of 1, 3"]),
        (("--images", ".", "--name", "../CATS"), ["--name must look like"]),
        (("--npz", "nowhere.npz", "--name", "CATS"), ["nowhere.npz cannot be read"]),
        (("--convert", "nowhere"), ["no data.hdf5 or data.hy in nowhere"]),
        (("--datasets", "MNIST", "--source", "nowhere"), ["nowhere"]),
    ],
)
def test_bad_command_lines(tmp_path, args, words):
    assert_one_line_error(run(tmp_path, *args), *words)
    assert not list(tmp_path.rglob("data.hdf5")) + list(tmp_path.rglob(".tmp-*"))


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "datasets").write_text("a file")
    assert_one_line_error(run(tmp_path, "--datasets", "DIGITS"), "cannot write datasets/digits")


@pytest.mark.parametrize("size", [10, 3000, 50_000, 100_000, 150_000])
def test_a_full_disk_leaves_the_old_file(old, tmp_path, size):
    """Files cannot grow beyond `size` bytes, which has the effect of a full disk."""
    limit = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))}
    result = run(tmp_path, *MNIST, "--dimension", 1000, "--force", **limit)
    assert_one_line_error(result, "cannot write datasets/mnist/data.hdf5", "File too large")
    assert_untouched(old)


INTERRUPTED = """
import sys, time
from datasets import mnist
from glo.runtime import errors
import download
whole = mnist.blocks
def half(paths):
    yield from whole(paths)
    {then}
mnist.blocks = half
sys.exit(errors.run(lambda: download.main(sys.argv[1:])))
"""


def start(tmp_path, then):
    """Start a build of MNIST that runs the statement `then` after the images and before the codes are written."""
    line = [sys.executable, "-c", INTERRUPTED.format(then=then), *MNIST, "--dimension", "5", "--force"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        line, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGKILL, -signal.SIGKILL)],
)
def test_an_interrupted_build_leaves_the_old_file(old, tmp_path, number, code):
    process = start(tmp_path, "print('half', flush=True); time.sleep(60)")
    assert process.stdout.readline() == "half\n"
    assert ".partial-data.hdf5" in listing(old[0].parent)
    process.send_signal(number)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == code
    assert "Traceback" not in stderr
    for path in old[0].parent.glob(".partial-*") if number == signal.SIGKILL else ():
        path.unlink()  # a killed process cannot remove it
    assert_untouched(old)


@pytest.mark.parametrize("error", ["UserError('the source broke')", "OSError(5, 'the source broke')"])
def test_a_source_that_breaks_leaves_the_old_file(old, tmp_path, error):
    process = start(tmp_path, f"raise errors.{error}" if error.startswith("User") else f"raise {error}")
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 2
    assert "the source broke" in stderr
    assert_untouched(old)


# --- datasets of the user -----------------------------------------------------------------------------------------


def test_an_npz_file(tmp_path):
    images, _ = samples(50)
    labels = np.arange(50) % 7
    np.savez(tmp_path / "cats.npz", image=images.astype(np.float32) / 255, label=labels)
    flags = ("--npz", "cats.npz", "--name", "My.Cats-1", "--dimension", 6, "--test_fraction", 0.2, *GAUSSIAN)
    assert "float in [0, 1]" in assert_ok(run(tmp_path, *flags))
    folder = tmp_path / "datasets" / "My.Cats-1"  # kept as given
    arrays, attributes = contents(folder / "data.hdf5")
    np.testing.assert_array_equal(arrays["image"], images)
    np.testing.assert_array_equal(arrays["label"], labels)
    assert (arrays["split"].sum(), arrays["code"].shape, attributes["source"]) == (10, (50, 6), "cats.npz")
    np.savez(tmp_path / "dogs.npz", image=images)
    assert_one_line_error(run(tmp_path, "--npz", "dogs.npz", *flags[2:]), "with source cats.npz")
    assert "with these settings" in assert_ok(run(tmp_path, *flags))


def test_few_images_limit_the_dimension(tmp_path):
    np.savez(tmp_path / "cats.npz", image=samples(20)[0])  # 18 to train on
    result = run(tmp_path, "--npz", "cats.npz", "--name", "CATS", "--dimension", 18)
    assert_one_line_error(result, "18 training images", "at most --dimension 17")


def test_the_default_dimension_is_lower_for_few_images(tmp_path):
    build(tmp_path, "CATS", "made", lambda _: [Block(samples(20)[0])], BuildSettings())
    assert contents(tmp_path / "data.hdf5")[0]["code"].shape == (20, 17)


def test_a_folder_of_pictures(tmp_path):
    for kind, grey in (("cats", 50), ("dogs", 200)):
        (tmp_path / "photos" / kind).mkdir(parents=True)
        for i in range(6):
            Image.new("L", (20 + i, 24), grey + i).save(tmp_path / "photos" / kind / f"{i}.png")
    (tmp_path / "photos" / "cats" / "broken.png").write_bytes(b"no picture")
    flags = ("--name", "PETS", "--dimension", 2, *GAUSSIAN)
    log = assert_ok(run(tmp_path, "--images", "photos", "--size", "8x10", *flags))
    assert "broken.png" in log
    assert "1 of 13 pictures" in log
    folder = tmp_path / "datasets" / "PETS"
    arrays, attributes = contents(folder / "data.hdf5")
    expected = [grey + i for grey in (50, 200) for i in range(6)]
    np.testing.assert_array_equal(arrays["image"], np.full((12, 8, 10, 1), np.reshape(expected, (12, 1, 1, 1))))
    assert arrays["label"].tolist() == [0] * 6 + [1] * 6
    assert attributes["label_names"].tolist() == ["cats", "dogs"]
    assert (folder / "id.txt").read_text().split() == [f"{k}/{i}.png" for k in ("cats", "dogs") for i in range(6)]
    flags = ("--images", "photos/../photos/", *flags)
    assert "with these settings" in assert_ok(run(tmp_path, *flags, "--size", "8x10"))
    assert_one_line_error(run(tmp_path, *flags, "--size", "16"), "with size 8x10: add --force")


# --- conversion ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["data.hy", "data.hdf5"])
def test_convert(tmp_path, name):
    images, codes = samples(20)
    ids = [f"cat {i * 7 % 20}" for i in range(20)]
    path = write_grouped(tmp_path / "CATS", images, codes, ids, name=name)
    content = path.read_bytes()
    if name == "data.hdf5":
        assert_one_line_error(run(tmp_path, "--convert", "CATS"), "CATS/data.hdf5 would be replaced: add --force")
        assert path.read_bytes() == content
        assert_ok(run(tmp_path, "--convert", "CATS", "--force"))
    else:
        assert_ok(run(tmp_path / "CATS", "--convert", "."))
        assert path.read_bytes() == content
    arrays, attributes = contents(tmp_path / "CATS" / "data.hdf5")
    np.testing.assert_array_equal(arrays["image"], images)
    np.testing.assert_array_equal(arrays["code"], codes)
    assert arrays["split"].sum() == 2
    assert (tmp_path / "CATS" / "id.txt").read_text().splitlines() == ids
    expected = {"name": "CATS", "source": name, "distribution": "given", "dimension": 3}
    assert expected.items() <= attributes.items()
    converted = (tmp_path / "CATS" / "data.hdf5").read_bytes()
    assert "already has the fast layout" in assert_ok(run(tmp_path, "--convert", "CATS/", "--force"))
    assert (tmp_path / "CATS" / "data.hdf5").read_bytes() == converted


def test_convert_refuses_invalid_datasets(tmp_path):
    images, codes = samples(5)
    codes[3, 1] = np.nan
    path = write_grouped(tmp_path / "CATS", images, codes, list("abcde"))
    assert_one_line_error(run(tmp_path, "--convert", "CATS"), "code of row 3 (id 'd') is not finite")
    assert listing(path.parent) == ["data.hy", "id.txt"]


def test_a_dataset_made_by_the_user_is_not_replaced_without_force(tmp_path):
    path = write_flat(tmp_path / "datasets" / "CATS", *samples(30))
    content = path.read_bytes()
    np.savez(tmp_path / "cats.npz", image=samples(30)[0])
    flags = ("--npz", "cats.npz", "--name", "CATS")
    assert_one_line_error(run(tmp_path, *flags), "already exists and was not built by download.py: add --force")
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("args", "fragments"),
    [
        (["--datasets", "DIGITS", "--size", "4"], ["--size has no effect", "--images"]),
        (["--npz", "x.npz", "--name", "X", "--source", "y"], ["--source has no effect", "--datasets"]),
        (["--npz", "x.npz"], ["--npz needs --name"]),
        ([], ["--datasets"]),
        (["--datasets", "DIGITS", "--npz", "x.npz"], ["one of"]),
    ],
)
def test_flags_that_do_not_go_together(args, fragments):
    assert_one_line_error(call("download.py", *args), *fragments)


def test_a_new_collection_of_pictures_can_be_resized(monkeypatch):
    def check(settings):
        raise UserError(f"reached with size {settings.size}")

    with monkeypatch.context() as patch:
        patch.setitem(datasets.COLLECTIONS, "PHOTOS", "photos")
        patch.setitem(sys.modules, "datasets.photos", SimpleNamespace(DEFAULTS={}, check=check))
        importlib.reload(download)
        assert_one_line_error(call("download.py", "--datasets", "PHOTOS", "--size", "8"), "reached with size 8")
    importlib.reload(download)
