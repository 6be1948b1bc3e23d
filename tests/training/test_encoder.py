"""Training of encoders, and their files."""

import json

import numpy as np
import pytest

from glo.features import weights
from glo.model.glo_model import GloModel, normalize_pixels
from glo.model.losses import build as build_loss
from glo.runtime import paths
from glo.runtime.errors import UserError
from glo.settings import TrainSettings
from glo.training import encoder, encoder_file, manifest
from glo.training.encoder_file import EncoderManifest
from tests.runs import train
from tests.support import load, samples, write_flat

pytestmark = pytest.mark.slow
LOSS = build_loss(TrainSettings().loss)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with a dataset of 30 random images, and a run of 24 steps, whose encoder takes 6."""
    folder = tmp_path_factory.mktemp("home")
    images, codes = samples(40, (8, 8, 1), 5)
    write_flat(folder / "datasets/TOY", images, codes, split=(np.arange(40) >= 30).astype(np.uint8))
    folders = ["--data_dir", folder / "datasets", "--train_dir", folder / "train_dir"]
    train("--dataset", "TOY", *folders, "--max_steps", 24, "--keep", 9)
    return folder


@pytest.fixture
def run(home):
    """The run folder, without an encoder."""
    (folder,) = home.glob("train_dir/*")
    for file in folder.glob("encoder-*"):
        file.unlink()
    return folder


def encoded(run, dataset, *stops, step=24):
    """Train the encoder in sessions that end at these steps, and return the values of its file."""
    prefix = paths.model(run, step)
    saved = manifest.read(prefix)
    for stop in stops:
        assert encoder.train(prefix, saved, dataset, stop) == 0
    with np.load(paths.encoder(prefix)) as file:
        return {name: file[name] for name in file.files}


def test_a_continued_training_equals_an_uninterrupted_one(home, run):
    dataset = load(home / "datasets", "TOY")
    whole = encoded(run, dataset, None)
    about = json.loads(str(whole["about"]))
    assert (about["step"], about["steps"]) == (6, 24 // encoder.SHARE)
    (run / "encoder-24.npz").unlink()
    parts = encoded(run, dataset, 2, None)
    assert whole.keys() == parts.keys()
    for name, values in whole.items():
        np.testing.assert_array_equal(parts[name], values, err_msg=name)


def test_the_loss_falls_and_the_generator_is_unchanged():
    images, codes = samples(64, (8, 8, 1), 5)
    model = GloModel((8, 8, 1), codes, TrainSettings(channels=8, projection="none"))
    images = np.rint((model.decode(codes).numpy() + 1) * 127.5).astype(np.uint8)
    training = encoder.EncoderTraining(model, LOSS, TrainSettings(projection="none"), codes, 60)
    before = [weight.numpy() for weight in model.generator.variables]
    losses = [float(training.update(images, codes, np.empty((64, 0), np.float32))) for _ in range(60)]
    assert np.mean(losses[-5:]) < np.mean(losses[:5]) / 3
    predicted = training.network(normalize_pixels(images), training=False).numpy()
    assert np.square(predicted - codes).sum() < np.square(codes - codes.mean(axis=0)).sum()  # of the mean code
    for weight, values in zip(model.generator.variables, before, strict=True):
        np.testing.assert_array_equal(weight.numpy(), values)


def test_predictions_return_into_the_ball():
    images, codes = samples(32, (8, 8, 1), 5)
    model = GloModel((8, 8, 1), codes, TrainSettings(channels=8))
    images = np.rint((model.decode(codes).numpy() + 1) * 127.5).astype(np.uint8)
    training = encoder.EncoderTraining(model, LOSS, TrainSettings(), codes, 60)
    training.network.get_layer("code").bias.assign(np.full(5, 2.0))
    norms = []
    for _ in range(60):
        training.update(images, codes, np.empty((32, 0), np.float32))
        norms.append(np.linalg.norm(training.network(normalize_pixels(images), training=True), axis=1).mean())
    assert norms[0] > 3
    assert norms[-1] < norms[0] - 0.05


def test_shifted_images_are_moved_and_their_border_is_repeated():
    images = np.arange(2 * 3 * 4, dtype=np.float32).reshape(2, 3, 4, 1)
    moved = encoder._shifted(images, np.array([1, -2], np.int32)).numpy()
    expected = np.pad(images, [(0, 0), (1, 0), (0, 2), (0, 0)], "edge")[:, :3, 2:]
    np.testing.assert_array_equal(moved, expected)


def test_an_encoder_of_another_checkpoint_is_refused(home, run):
    encoded(run, load(home / "datasets", "TOY"), 1)
    (run / "encoder-24.npz").rename(run / "encoder-20.npz")
    prefix = run / "model-20"
    with pytest.raises(UserError, match=r"encoder-20.npz is the encoder of another checkpoint than .*model-20"):
        encoder.train(prefix, manifest.read(prefix), load(home / "datasets", "TOY"), 1)


def damage_bytes(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)


def cut(path):
    path.write_bytes(path.read_bytes()[:-100])


def rewrite(change):
    """A function that rewrites the file of an encoder with changed arrays or a changed description."""

    def damage(path):
        with np.load(path) as file:
            arrays = [file[f"arr_{index}"] for index in range(len(file.files)) if f"arr_{index}" in file.files]
            about = json.loads(str(file["about"]))
        change(arrays, about)
        weights.write(path, arrays, about)

    return damage


DAMAGES = {
    "a changed byte": damage_bytes,
    "cut off": cut,
    "no archive": lambda path: path.write_bytes(b"encoder"),
    "a changed value": rewrite(lambda arrays, about: arrays[0].__iadd__(1)),
    "not finite": rewrite(lambda arrays, about: arrays[0].fill(np.nan)),
    "another shape": rewrite(lambda arrays, about: arrays.__setitem__(0, arrays[0][:1])),
    "no manifest": rewrite(lambda arrays, about: about.clear()),
    "another entry": rewrite(lambda arrays, about: about.update(extra=1)),
    "a negative step": rewrite(lambda arrays, about: about.update(step=-1)),
    "a step of text": rewrite(lambda arrays, about: about.update(step="1")),
    "another format": rewrite(lambda arrays, about: about.update(format=2)),
}


@pytest.fixture(scope="module")
def values():
    """What the file of an untrained encoder holds."""
    model = GloModel((8, 8, 1), samples(30, dimension=5)[1], TrainSettings(channels=4))
    training = encoder.EncoderTraining(model, LOSS, TrainSettings(), samples(30, dimension=5)[1], 6)
    return encoder_file.variables(training.network, training.optimizer)


@pytest.mark.parametrize("name", DAMAGES)
def test_damaged_files_are_refused(home, run, values, name):
    prefix = run / "model-24"
    saved = manifest.read(prefix)
    encoder_file.write(prefix, values, EncoderManifest(3, 6, saved.files))
    assert encoder_file.read(prefix, saved, values) == EncoderManifest(3, 6, saved.files)
    DAMAGES[name](paths.encoder(prefix))
    with pytest.raises(UserError, match=r"encoder-24.npz .*type python trainer.py --checkpoint .* --encoder"):
        encoder_file.read(prefix, saved, values)
