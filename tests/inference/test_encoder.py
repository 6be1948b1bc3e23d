"""Encoding with a trained encoder."""

from types import SimpleNamespace

import numpy as np

from glo.inference.encoder import Encoder
from glo.model import encoder
from glo.model.glo_model import normalize_pixels
from tests.support import samples


def test_codes_are_those_of_the_network_projected_for_any_batch_size():
    network = encoder.build((8, 8, 1), 3, seed=0)
    model, images = SimpleNamespace(image_shape=(8, 8, 1), condition_size=0, dimension=3), samples(5, (8, 8, 1))[0]
    expected = network(normalize_pixels(images), training=False).numpy()
    assert (np.linalg.norm(expected, axis=1) > 0.1).all()
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    for batch_size in (5, 2):
        codes = Encoder(network, model, "sphere", batch_size).codes(images)
        np.testing.assert_allclose(codes, expected, atol=1e-4)
