"""Networks of the loss `perceptual`: trained for a dataset, saved and read again; VGG16 with weights from a file."""

import dataclasses
import hashlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from glo.features import loss_network, trained
from glo.model import geometry, losses
from glo.model.glo_model import GloModel, normalize_pixels
from glo.runtime.errors import UserError
from glo.settings import TrainSettings
from glo.training.step import make_step
from tests.support import load, samples, write_flat

SHAPE = (9, 8, 1)


@pytest.fixture
def dataset(tmp_path):
    """Images of 9 by 8 pixels: noise with one bright row, whose position is the label."""
    images, codes = samples(60, SHAPE, 2)
    labels = np.arange(60, dtype=np.int32) % 3
    images[np.arange(60), 2 * labels + 1] //= 2
    write_flat(tmp_path / "ROWS", images, codes, label=labels, split=(np.arange(60) >= 50).astype(np.uint8))
    return load(tmp_path, "ROWS")


@pytest.fixture
def trainings(monkeypatch):
    """A list of the numbers of images of each training, which has few steps."""
    calls = []

    def few(n):
        calls.append(n)
        return 4

    monkeypatch.setattr(trained, "default_steps", few)
    return calls


def make(dataset):
    return loss_network.make("mse+perceptual", SHAPE, dataset)


def saved_file(dataset):
    (path,) = dataset.path.parent.glob("perceptual-*.npz")
    return path


@pytest.mark.parametrize("labels", [True, False])
def test_the_network_is_trained_once_and_reproducible(dataset, trainings, labels):
    dataset = dataset if labels else dataclasses.replace(dataset, labels=None)
    first, images = make(dataset), normalize_pixels(dataset.images[:5])
    maps = first(images)
    assert [x.shape[1:] for x in maps] == geometry.perceptual_maps("classifier", SHAPE) == [(9, 8, 16), (5, 4, 32)]
    assert all(x.dtype == tf.float32 for x in maps)
    assert make(dataset).sha256 == first.sha256
    assert trainings == [50]  # training rows
    saved_file(dataset).unlink()
    again = make(dataset)
    assert len(trainings) == 2
    assert again.sha256 == first.sha256
    for x, y in zip(again(images), maps, strict=True):
        np.testing.assert_array_equal(x, y)


def test_labels_and_a_single_label_and_no_labels_need_different_networks(dataset, trainings):
    single = dataclasses.replace(dataset, labels=np.full(60, 7, np.int32))  # nothing to learn from
    others = [single, dataclasses.replace(dataset, labels=None)]
    assert len({make(each).sha256 for each in (dataset, *others)}) == 2
    assert len(list(dataset.path.parent.glob("perceptual-*.npz"))) == len(trainings) == 3


@pytest.mark.parametrize("damage", ["cut", "foreign", "changed"])
def test_a_damaged_or_foreign_file_is_replaced(dataset, damage, trainings):
    original, path = make(dataset).sha256, saved_file(dataset)
    content = path.read_bytes()
    with np.load(path) as file:
        arrays = dict(file)
    if damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "changed":
        np.savez(path, **{**arrays, "arr_0": arrays["arr_0"] + 1e-3})
    else:
        about = str(arrays["about"]).replace(path.stem.removeprefix("perceptual-"), "0" * 16)
        np.savez(path, **{**arrays, "about": np.array(about)})
    assert make(dataset).sha256 == original
    assert make(dataset).sha256 == original
    assert len(trainings) == 2


def test_the_network_works_if_it_cannot_be_saved(dataset, trainings, monkeypatch):
    def refuse(path, *_):
        raise trained.files.cannot_write(path, PermissionError(13, "Permission denied"))

    monkeypatch.setattr(trained.weights, "write", refuse)
    assert make(dataset).sha256
    assert not list(dataset.path.parent.glob("*.npz"))


def test_a_training_step_leaves_the_network_as_it_is(dataset, trainings):
    """The network stays float32 in a step that is compiled by XLA with hidden maps of the generator in bfloat16."""
    network = make(dataset)
    settings = TrainSettings(channels=4, batch_size=8, loss="mse+perceptual", precision="bfloat16", jit="on")
    model = GloModel(SHAPE, dataset.train_codes[:], settings)
    step = make_step(model, losses.build(settings.loss, network), settings, learned=9)
    rows = np.arange(8)
    values = [step(rows, dataset.images[rows]).numpy().mean() for _ in range(9)]
    assert np.isfinite(values).all()
    assert values[-1] < values[0]
    assert not network._network.trainable_variables
    assert network.sha256 == make(dataset).sha256
    images = normalize_pixels(dataset.images[:2])
    for x, y in zip(network(images), make(dataset)(images), strict=True):
        np.testing.assert_array_equal(x, y)


def tiny(weights, include_top, input_shape):
    """A small network in place of VGG16, with layers of the same names."""
    assert (weights, include_top, input_shape) == (None, False, (None, None, 3))
    x = inputs = keras.Input(input_shape)
    for name in loss_network.VGG16_MAPS:
        x = keras.layers.Conv2D(4, 3, padding="same", activation="relu", name=name)(x)
        x = keras.layers.MaxPooling2D(2)(x)
    return keras.Model(inputs, x)


@pytest.fixture
def file(tmp_path, monkeypatch):
    """The text of a loss with the file of weights of a tiny VGG16, the file, and the weights."""
    monkeypatch.setattr(keras.applications, "VGG16", tiny)
    random, path = np.random.default_rng(0), tmp_path / "vgg 16+x=1.npz"
    shapes = [array.shape for array in tiny(None, False, (None, None, 3)).weights]
    arrays = [random.standard_normal(shape).astype(np.float32) for shape in shapes]
    np.savez(path, *arrays)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return f"mse+2*perceptual(network={path},sha256={digest})", path, arrays


def test_vgg16_with_weights_from_a_file(file):
    text, _, arrays = file
    for shape, sides in {(9, 8, 1): [(9, 8), (4, 4), (2, 2)], (2, 3, 3): [(2, 3), (1, 1)]}.items():
        images, _ = samples(2, shape)
        maps = loss_network.make(text, shape, None)(normalize_pixels(images))
        assert [tuple(x.shape[1:3]) for x in maps] == sides
        # Grey images in three channels; BGR without the mean colour of ImageNet.
        pixels = np.broadcast_to(images, (*images.shape[:3], 3))[..., ::-1] - np.float32([103.939, 116.779, 123.68])
        expected = tf.nn.relu(tf.nn.conv2d(pixels, arrays[0], 1, "SAME") + arrays[1])
        np.testing.assert_allclose(maps[0], expected, rtol=1e-3, atol=1e-2)


def test_other_files_are_refused(file):
    text, path, arrays = file
    with pytest.raises(UserError, match=r"the network .* has the SHA-256 .*, not 0{64}"):
        loss_network.make(text[:-65] + "0" * 64 + ")", SHAPE, None)
    with pytest.raises(UserError, match=r"also needs sha256=HEX.* the file has [0-9a-f]{64}"):
        loss_network.make(f"perceptual(network={path})", SHAPE, None)
    with pytest.raises(UserError, match="No such file"):
        loss_network.make(f"perceptual(network={path.with_name('none.npz')})", SHAPE, None)
    np.savez(path, *arrays[:-1])
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(UserError, match="holds no weights of this network"):
        loss_network.make(f"perceptual(network={path},sha256={digest})", SHAPE, None)


def test_a_failed_download_is_a_one_line_error(monkeypatch):
    def fail(*_, **__):
        raise Exception("URL fetch failure on https://host/file.h5: None -- [Errno -2] Name or service not known")

    monkeypatch.setattr(keras.applications, "VGG16", fail)
    with pytest.raises(UserError, match="needs network access; try again with it, or use network=classifier"):
        loss_network.make("perceptual(network=vgg16)", SHAPE, None)


def test_the_layers_of_vgg16_have_these_names_and_sizes():
    network = keras.applications.VGG16(weights=None, include_top=False, input_shape=(32, 32, 3))
    outputs = [layer.output.shape[1:] for layer in network.layers if isinstance(layer, keras.layers.Conv2D)]
    assert outputs[:7] == geometry.perceptual_maps("vgg16", (32, 32, 3))
    last = [network.get_layer(name).output.shape[1:] for name in loss_network.VGG16_MAPS]
    assert last == [outputs[1], outputs[3], outputs[6]]
    assert len(geometry.perceptual_maps("vgg16", (3, 40, 3))) == 4


def test_other_losses_need_no_network(dataset):
    assert loss_network.make("lap_l1", SHAPE, dataset) is None
    with pytest.raises(UserError, match="needs the dataset"):
        loss_network.make("perceptual", SHAPE, None)
