"""Generators for any size, of both kinds."""

import numpy as np
import pytest

from glo import generator
from glo.settings import TrainSettings


@pytest.mark.parametrize("kind", ["deconv", "resize_conv"])
@pytest.mark.parametrize("shape", [(28, 28, 1), (8, 8, 1), (32, 32, 3), (7, 13, 3), (33, 20, 1), (2, 3, 1), (1, 1, 3)])
def test_images_of_any_size_in_range(shape, kind):
    model = generator.build(shape, 5, TrainSettings(generator=kind, channels=4))
    images = np.asarray(model(np.random.default_rng(0).standard_normal((3, 5)).astype(np.float32)))
    assert images.shape == (3, *shape)
    assert images.dtype == np.float32
    assert np.abs(images).max() <= 1
    assert np.ptp(images, axis=0).max() > 0  # codes matter


def test_published_shapes():
    def maps(side, **settings):
        model = generator.build((side, side, 3), 8, TrainSettings(**settings))
        return [tuple(layer.output.shape[1:]) for layer in model.layers if layer.name in ("map", "up0", "up3")]

    # 64 pixels: a 4x4 map and four blocks, as DCGAN; 128 pixels: five.
    assert maps(64, channels=64) == [(4, 4, 512), (8, 8, 256), (64, 64, 3)]
    assert generator.upsampling_blocks(128, 128) == 5
    # Coarse maps are as wide as max_channels allows.
    assert maps(64, channels=64, max_channels=100)[0] == (4, 4, 100)
    assert maps(64, channels=8, blocks=2)[0] == (16, 16, 16)


def test_weights_depend_on_the_seed_alone():
    def weights(seed):
        return generator.build((8, 8, 1), 4, TrainSettings(seed=seed)).get_weights()

    for a, b in zip(weights(1), weights(1), strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(weights(1)[0], weights(2)[0])
