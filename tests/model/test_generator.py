"""Generators of both kinds, for images of any size."""

import dataclasses

import numpy as np
import pytest

from glo.model import generator, geometry
from glo.settings import TrainSettings


def test_settings_list_every_generator():
    (field,) = (field for field in dataclasses.fields(TrainSettings) if field.name == "generator")
    assert set(field.metadata["choices"]) == set(generator.UPSAMPLING)


@pytest.mark.parametrize("kind", generator.UPSAMPLING)
@pytest.mark.parametrize("shape", [(28, 28, 1), (8, 8, 1), (32, 32, 3), (7, 13, 3), (33, 20, 1), (2, 3, 1), (1, 1, 3)])
def test_images_have_the_given_shape_and_range(shape, kind):
    model = generator.build(shape, 5, TrainSettings(generator=kind, channels=4))
    images = np.asarray(model(np.random.default_rng(0).standard_normal((3, 5)).astype(np.float32)))
    assert images.shape == (3, *shape)
    assert images.dtype == np.float32
    assert np.abs(images).max() <= 1
    assert np.ptp(images, axis=0).max() > 0  # different codes give different images


def test_published_shapes():
    def maps(side, **settings):
        model = generator.build((side, side, 3), 8, TrainSettings(**settings))
        return [tuple(layer.output.shape[1:]) for layer in model.layers if layer.name in ("map", "up0", "up3")]

    # As in DCGAN: for 64 pixels, a 4x4 map and four blocks; for 128 pixels, five blocks.
    assert maps(64, channels=64) == [(4, 4, 512), (8, 8, 256), (64, 64, 3)]
    assert geometry.upsampling_blocks(128, 128) == 5
    # `max_channels` limits the channels of coarse maps.
    assert maps(64, channels=64, max_channels=100)[0] == (4, 4, 100)
    assert maps(64, channels=8, blocks=2)[0] == (16, 16, 16)


def test_weights_depend_on_the_seed_alone():
    def weights(seed):
        return generator.build((8, 8, 1), 4, TrainSettings(seed=seed)).get_weights()

    for a, b in zip(weights(1), weights(1), strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(weights(1)[0], weights(2)[0])


def test_film_against_its_formula():
    """With a map of one pixel and no doubling, FiLM modulates the map and the output of the convolution."""
    settings = TrainSettings(blocks=0, channels=3, film=2)
    model = generator.build((1, 1, 1), 4, settings)
    weights = {weight.path.removeprefix("generator/"): weight for weight in model.weights}
    random = np.random.default_rng(0)
    for weight in weights.values():
        weight.assign(random.uniform(0.2, 1, weight.shape).astype(np.float32))
    code = random.standard_normal((5, 4)).astype(np.float32)
    w = {path: weight.numpy() for path, weight in weights.items()}

    def leaky(x):
        return np.where(x > 0, x, 0.2 * x)

    def normed(x, name):
        scale = w[f"{name}/gamma"] / np.sqrt(w[f"{name}/moving_variance"] + 1e-3)
        return (x - w[f"{name}/moving_mean"]) * scale + w[f"{name}/beta"]

    style = np.concatenate([code, leaky(normed(code @ w["film_hidden/kernel"], "film_norm"))], axis=1)

    def modulated(x, name):
        gain, shift = np.split(style @ w[f"{name}/kernel"] + w[f"{name}/bias"], 2, axis=1)
        return x * (1 + gain) + shift

    pixel = leaky(modulated(normed(code @ w["project/kernel"], "norm"), "film_map"))
    expected = np.tanh(modulated(pixel @ w["out/kernel"][1, 1] + w["out/bias"], "film_out"))
    np.testing.assert_allclose(np.asarray(model(code))[:, 0, 0], expected, rtol=1e-4)


@pytest.mark.parametrize("kind", generator.UPSAMPLING)
def test_film_modulates_every_map_and_is_the_identity_at_first(kind):
    settings = TrainSettings(generator=kind, channels=4, blocks=2, film=6)
    model = generator.build((8, 12, 3), 5, settings)
    code = np.random.default_rng(0).standard_normal((3, 5)).astype(np.float32)
    before = np.asarray(model(code))
    weights = {weight.path.removeprefix("generator/"): weight for weight in model.weights}
    films = [path for path in weights if path.startswith("film_") and path.endswith("bias")]
    assert films == ["film_map/bias", "film_up0/bias", "film_up1/bias"]
    plain = generator.build((8, 12, 3), 5, TrainSettings(generator=kind, channels=4, blocks=2))
    for weight in plain.weights:
        weight.assign(weights[weight.path.removeprefix("generator/")])
    np.testing.assert_allclose(np.asarray(plain(code)), before, atol=1e-6)
    for path in films:
        weights[path].assign_add(np.ones(weights[path].shape, np.float32))
        assert np.abs(np.asarray(model(code)) - before).max() > 1e-3
        weights[path].assign_sub(np.ones(weights[path].shape, np.float32))
