"""Encoding with a trained encoder."""

from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from glo.inference import encoder
from glo.inference.encoder import Encoder
from tests.support import samples

D, SHAPE, SHRINKAGE = 3, (16, 15, 1), 0.7


@pytest.fixture(scope="module")
def linear():
    """A linear generator, and an encoder that predicts codes of its images too short, by the factor `SHRINKAGE`."""
    matrix = np.random.default_rng(0).standard_normal((D, 240)).astype(np.float32) / 4
    inverse = np.linalg.pinv(matrix).astype(np.float32)
    decode = lambda codes: tf.reshape(codes @ matrix, [-1, *SHAPE])  # noqa: E731
    network = lambda images, training: SHRINKAGE * tf.reshape(images, [-1, 240]) @ inverse  # noqa: E731
    return SimpleNamespace(dimension=D, image_shape=SHAPE, decode=decode), network


def generated(model):
    codes = samples(5, dimension=D)[1]
    return codes, np.rint((model.decode(codes).numpy() + 1) * 127.5).astype(np.uint8)


@pytest.mark.parametrize("corrections", [0, 1, 2])
def test_each_correction_removes_a_share_of_the_error(linear, corrections, monkeypatch):
    monkeypatch.setattr(encoder, "CORRECTIONS", corrections)
    codes, images = generated(linear[0])
    predicted = Encoder(linear[1], linear[0], "none").codes(images)
    np.testing.assert_allclose(predicted, (1 - (1 - SHRINKAGE) ** (corrections + 1)) * codes, atol=2e-3)


def test_codes_are_projected_and_do_not_depend_on_the_batch_size(linear):
    codes, images = generated(linear[0])
    whole, parts = (Encoder(linear[1], linear[0], "sphere", size).codes(images) for size in (5, 2))
    np.testing.assert_allclose(whole, parts, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(whole, axis=1), 1, rtol=1e-5)
    assert (np.sum(whole * codes, axis=1) > 0.99 * np.linalg.norm(codes, axis=1)).all()
