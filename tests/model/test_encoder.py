"""The network of the encoder."""

import numpy as np
import pytest

from glo.model import encoder

ORDERS = [0, 1, 2], [2, 1, 0]


@pytest.mark.parametrize("image_shape", [(8, 8, 1), (5, 31, 3), (1, 1, 1), (64, 48, 3)])
def test_images_of_any_size_are_mapped_to_codes(image_shape):
    network = encoder.build(image_shape, 6, seed=0)
    images = np.random.default_rng(0).uniform(-1, 1, (3, *image_shape)).astype(np.float32)
    codes = network(images).numpy()
    assert codes.shape == (3, 6)
    assert np.isfinite(codes).all()
    assert np.abs(codes[0] - codes[1]).max() > 1e-4


def test_a_conditional_network_predicts_other_codes_under_other_conditions():
    network = encoder.build((8, 8, 1), 6, seed=0, condition_size=3)
    images = np.random.default_rng(0).uniform(-1, 1, (3, 8, 8, 1)).astype(np.float32)
    codes, others = (encoder.predict(network, images, np.eye(3, dtype=np.float32)[order]).numpy() for order in ORDERS)
    assert codes.shape == (3, 6)
    np.testing.assert_allclose(codes[1], others[1], atol=1e-6)
    assert np.abs(codes[[0, 2]] - others[[0, 2]]).max(axis=1).min() > 1e-3


def test_initial_weights_depend_on_the_seed_alone():
    weights = [encoder.build((8, 8, 1), 4, seed).get_weights() for seed in (1, 1, 2)]
    for first, second in zip(weights[0], weights[1], strict=True):
        np.testing.assert_array_equal(first, second)
    assert any(not np.array_equal(first, other) for first, other in zip(weights[0], weights[2], strict=True))
