"""Networks of keras.applications as extractors, with random weights in place of downloaded ones."""

import hashlib
from functools import partial

import h5py
import keras
import numpy as np
import pytest

from glo.features import extractors, weights
from glo.features.extractors import Application
from glo.runtime.errors import UserError
from glo.settings import EXTRACTORS
from tests.support import samples


def test_settings_list_every_extractor():
    assert (*extractors.TRAINED, *extractors.APPLICATIONS) == EXTRACTORS
    assert all(name == extractor.name for name, extractor in extractors.TRAINED.items())


def test_a_failed_download_is_a_one_line_error(monkeypatch):
    def fail(*_, **__):
        raise Exception("URL fetch failure on https://host/file.h5: None -- [Errno -2] Name or service not known")

    monkeypatch.setattr(keras.applications, "MobileNetV2", fail)
    with pytest.raises(UserError, match=r"needs network access.*--extractor contrastive") as caught:
        Application("MobileNetV2")
    assert "URL fetch failure" in str(caught.value)


def test_features_of_grey_and_colour_images(monkeypatch):
    requested_weights = []

    def untrained(weights, **options):
        requested_weights.append(weights)
        keras.utils.set_random_seed(0)
        return keras_network(weights=None, **options)

    keras_network = keras.applications.MobileNetV2
    monkeypatch.setattr(keras.applications, "MobileNetV2", untrained)
    extractor = Application("MobileNetV2")
    assert requested_weights == ["imagenet"]
    assert extractor.name == "mobilenet_v2"
    grey, _ = samples(3, (8, 9, 1))
    colour = np.repeat(grey, 3, axis=3)
    monkeypatch.setattr(extractor, "batch", 2)
    features = extractors.features(extractor, grey)
    assert features.shape == (3, 1280)
    assert features.dtype == np.float32
    np.testing.assert_allclose(features, extractor(colour), atol=1e-5)
    assert not np.array_equal(features[0], features[1])
    assert extractor.describe() == Application("MobileNetV2").describe()


class Echo:
    """A network that returns its inputs, so that a test can check them."""

    def __init__(self, *_, **options):
        self.shape = options["input_shape"]

    def __call__(self, images, training):
        assert not training
        return images

    def get_weights(self):
        return []


@pytest.mark.parametrize(("kind", "black", "white"), [("InceptionV3", -1, 1), ("MobileNetV2", -1, 1)])
def test_images_are_resized_and_scaled_for_the_network(kind, black, white, monkeypatch):
    monkeypatch.setattr(keras.applications, kind, Echo)
    images = np.zeros((2, 6, 7, 1), np.uint8)
    images[1] = 255
    inputs = Application(kind)(images)
    side = extractors.APPLICATIONS[kind][1]
    assert inputs.shape == (2, side, side, 3)
    np.testing.assert_allclose(inputs[0], black, rtol=1e-6)
    np.testing.assert_allclose(inputs[1], white, rtol=1e-6)


def tiny(weights, include_top, input_shape, pooling):
    """A small network in place of InceptionV3."""
    assert (weights, include_top, pooling) == (None, False, "avg")
    inputs = keras.Input(input_shape)
    x = keras.layers.Conv2D(4, 3, strides=32, name="conv")(inputs)
    x = keras.layers.BatchNormalization(scale=False, name="norm")(x)
    return keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(x))


@pytest.mark.parametrize("suffix", ["npz", "h5"])
def test_weights_from_a_file(suffix, tmp_path, monkeypatch):
    monkeypatch.setattr(keras.applications, "InceptionV3", tiny)
    shape = (299, 299, 3)
    network = partial(tiny, None, False, shape, "avg")()
    random = np.random.default_rng(0)
    network.set_weights([random.uniform(0.5, 1, array.shape) for array in network.get_weights()])
    path = tmp_path / f"inception.{suffix}"
    if suffix == "npz":
        np.savez(path, *network.get_weights())
    else:
        with h5py.File(path, "w") as file:
            file.attrs["layer_names"] = [b"conv", b"norm"]
            for layer in ("conv", "norm"):
                group, values = file.create_group(layer), network.get_layer(layer).get_weights()
                names = [f"{layer}/{index}:0" for index in range(len(values))]
                group.attrs["weight_names"] = [name.encode() for name in names]
                for name, value in zip(names, values, strict=True):
                    group[name] = value
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    extractor = Application("InceptionV3", path, digest)
    assert extractor.describe() == {
        "name": f"inception_v3_{digest[:8]}",
        "sha256": weights.sha256(network.get_weights()),
    }
    images, _ = samples(2, (299, 299, 3))
    expected = network(images / 127.5 - 1).numpy()
    np.testing.assert_allclose(extractor(images), expected, rtol=1e-4)


def test_weights_of_another_network_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(keras.applications, "InceptionV3", tiny)
    np.savez(tmp_path / "other.npz", np.zeros((3, 3, 3, 5)), np.zeros(5), np.zeros(5), np.zeros(5), np.zeros(5))
    with pytest.raises(UserError, match="holds no weights of this network"):
        Application("InceptionV3", tmp_path / "other.npz", "0" * 64)
