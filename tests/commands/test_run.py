"""A trained run from Python: `glo.load` with and without the dataset and in a thread; exported samples and models."""

import shutil
import subprocess
import sys
import threading

import h5py
import numpy as np
import pytest
from PIL import Image

import glo
from glo.runtime.errors import UserError
from glo.samplers import SAMPLERS, flow, imle, leading
from tests.support import ROOT, assert_ok, assert_one_line_error, call, update_checksums


@pytest.fixture(scope="module")
def home(digits, tmp_path_factory):
    """A copy of the folder with digits and their run, which only this module uses."""
    return shutil.copytree(digits, tmp_path_factory.mktemp("run") / "home")


@pytest.fixture
def folder(home, monkeypatch):
    """The run folder; its home is the current directory."""
    monkeypatch.chdir(home)
    (folder,) = home.glob("train_dir/*")
    return folder


@pytest.fixture
def alone(folder, tmp_path, monkeypatch):
    """A copy of the run folder in a current directory without datasets."""
    copy = tmp_path / folder.name
    shutil.copytree(folder, copy)
    monkeypatch.chdir(tmp_path)
    return copy


def held_out_digits(home, n=6):
    with h5py.File(home / "datasets/digits/data.hdf5") as file:
        return file["image"][:][file["split"][:] == 1][:n]


def test_no_dataset_is_needed(home, alone):
    run = glo.load(alone)
    assert run.dataset is None
    assert run.settings.channels == 32
    assert run.codes.shape == (1617, 16)
    images, codes = run.sample(12, seed=3)
    assert (images.shape, images.dtype) == ((12, 8, 8, 1), np.uint8)
    np.testing.assert_array_equal(run.decode(codes), images)
    np.testing.assert_array_equal(run.sample(12, seed=3)[0], images)
    assert not np.array_equal(run.sample(12, seed=4)[0], images)
    # The generator made these images, so that codes can reproduce them.
    reconstructed = run.decode(run.encode(images))
    assert np.abs(reconstructed.astype(float) - images).mean() < 6
    new = held_out_digits(home)
    errors = np.abs(run.reconstruct(new).astype(float) - new).mean()
    errors_of_mean_code = np.abs(
        run.decode(np.repeat(run.codes.mean(axis=0)[None], len(new), 0)).astype(float) - new
    ).mean()
    assert errors < 0.7 * errors_of_mean_code


def test_the_dataset_is_used_if_it_exists_and_has_not_changed(home, folder, tmp_path, caplog):
    assert glo.load(folder / "model-300").dataset is not None
    shutil.copytree(home / "datasets", tmp_path / "other")
    with h5py.File(tmp_path / "other/digits/data.hdf5", "r+") as file:
        file["split"][:3] = 1
    update_checksums(tmp_path / "other/digits/data.hdf5", "split")
    run = glo.load(folder, data_dir=tmp_path / "other")
    assert run.dataset is None
    assert "not the dataset that this run was trained on" in caplog.text
    assert run.encode(held_out_digits(home, 2), steps=5).shape == (2, 16)


def test_bad_arguments(alone):
    run = glo.load(alone)
    for bad in (np.zeros((2, 8, 8, 1)), np.zeros((2, 8, 9, 1), np.uint8), np.zeros((8, 8, 1), np.uint8)):
        with pytest.raises(ValueError, match=r"uint8 \[n, 8, 8, 1\]"):
            run.encode(bad)
    with pytest.raises(ValueError, match="label"):
        run.encode(np.zeros((2, 8, 8, 1), np.uint8), label=3)
    with pytest.raises(ValueError, match=r"\[n, 16\]"):
        run.decode(np.zeros((2, 17)))
    with pytest.raises(ValueError, match="gausian"):
        run.sample(3, sampler="gausian")
    with pytest.raises(ValueError, match="positive"):
        run.sample(0)
    with pytest.raises(UserError, match="nowhere"):
        glo.load("nowhere")


def test_in_a_thread(alone):
    results = []
    thread = threading.Thread(target=lambda: results.append(glo.load(alone).sample(3)[0]))
    thread.start()
    thread.join()
    np.testing.assert_array_equal(results[0], glo.load(alone).sample(3)[0])


def test_the_example(folder, tmp_path):
    line = [sys.executable, ROOT / "examples/latent_space.py", folder, tmp_path / "walk.png"]
    result = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, env={"PYTHONPATH": str(ROOT)})
    assert result.returncode == 0, result.stderr
    assert "oneDNN" not in result.stderr  # TensorFlow's start-up messages
    assert "1617 learned codes of 16" in result.stdout
    assert Image.open(tmp_path / "walk.png").size[0] > 300


def test_samples_as_numbered_pngs(folder, tmp_path):
    export = ["--checkpoint", folder, "--export_samples", tmp_path / "pngs", "--num_samples", 7]
    assert_ok(call("evaler.py", *export))
    assert [path.name for path in sorted((tmp_path / "pngs").iterdir())] == [f"{i:05d}.png" for i in range(7)]
    with np.load(folder / "eval-300/generate_default.npz") as file:
        np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "pngs/00006.png")), file["image"][6, ..., 0])
    assert not (folder / "eval-300/reconstruct_default.png").exists()  # a task of its own, so that no default task runs
    assert_one_line_error(call("evaler.py", *export), "--force")
    assert_ok(call("evaler.py", *export, "--force"))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    refused = call("evaler.py", "--checkpoint", folder, "--export_samples", tmp_path / "mine", "--force")
    assert_one_line_error(refused, "mine", "not empty")
    assert (tmp_path / "mine" / "thesis.txt").exists()


def test_saved_models_run_without_this_toolkit(folder, tmp_path, monkeypatch):
    for module, name, value in (
        *((flow, "STEPS", 50), (flow, "WIDTH", 48)),
        *((leading, "STEPS", 50), (leading, "WIDTH", 48)),
        *((imle, "STEPS", 50), (imle, "WIDTH", 48), (imle, "POOL", 512), (imle, "MATCHED", 512)),
    ):
        monkeypatch.setattr(module, name, value)
    samplers = list(SAMPLERS)
    for sampler in samplers:
        assert_ok(call("evaler.py", "--checkpoint", folder, "--export", tmp_path / sampler, "--sampler", sampler))
    run = glo.load(folder)
    np.save(tmp_path / "codes.npy", run.codes[:5])
    program = (
        "import sys; sys.modules['glo'] = None\n"
        "import numpy as np, tensorflow as tf\n"
        "for name in sys.argv[1:]:\n"
        "    model = tf.saved_model.load(name)\n"
        "    k = model.sample.input_signature[0].shape[1]\n"
        "    noise = np.random.default_rng(0).standard_normal((4000, k)).astype(np.float32)\n"
        "    np.savez(name, decoded=model.decode(np.load('codes.npy')), sampled=model.sample(noise))\n"
    )
    line = [sys.executable, "-c", program, *samplers]
    result = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    for sampler in samplers:
        with np.load(tmp_path / f"{sampler}.npz") as out:
            decoded, sampled = out["decoded"].astype(int), out["sampled"]
        assert sampled.dtype == np.uint8
        assert np.abs(decoded - run.decode(run.codes[:5])).max() <= 1
        # Samples of the SavedModel have the mean and the standard deviation of samples of the run.
        sampled, expected = sampled.astype(float), run.sample(4000, sampler=sampler)[0].astype(float)
        np.testing.assert_allclose(sampled.mean(axis=0), expected.mean(axis=0), atol=12)
        np.testing.assert_allclose(sampled.std(axis=0).mean(), expected.std(axis=0).mean(), rtol=0.05)
