"""Learning without labels: the loss of two altered copies, the copies, and how often they are recognised."""

import numpy as np
import tensorflow as tf

from glo.features import contrast
from tests.support import samples

SHAPE = (9, 8, 1)


def test_copies_of_a_batch_are_altered_by_the_step_and_the_seed_alone():
    images, _ = samples(4, SHAPE)
    (first,), (second,) = contrast._altered(iter([images] * 2), SHAPE, 1)
    ((again,),) = contrast._altered(iter([images]), SHAPE, 1)
    ((other,),) = contrast._altered(iter([images]), SHAPE, 2)
    assert first.shape == (8, *SHAPE)
    np.testing.assert_array_equal(first, again)
    for x, y in ((first, second), (first, other), (first[:4], first[4:]), (first[:4], images)):
        assert np.any(x != y)


def test_contrast_is_the_cross_entropy_of_finding_the_other_copy():
    z = np.random.default_rng(0).standard_normal((6, 4)).astype(np.float32)
    unit = z / np.linalg.norm(z, axis=1, keepdims=True)
    terms = []
    for i, j in ((0, 3), (1, 4), (2, 5), (3, 0), (4, 1), (5, 2)):
        scores = np.exp(unit @ unit[i] / contrast.TEMPERATURE)
        terms.append(-np.log(scores[j] / (scores.sum() - scores[i])))
    np.testing.assert_allclose(contrast.contrast(tf.constant(z)), np.mean(terms), rtol=1e-5)


def test_copies_are_recognised_by_the_cosine_among_those_of_other_images():
    images = np.zeros((4, *SHAPE), np.uint8)
    # Copies of images 0 and 1 are nearest to each other, and those of 2 and 3 are exchanged. Lengths do not matter.
    embeddings = np.float32([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 1, 1]])
    exchanged = np.concatenate([embeddings, 9 * embeddings[[0, 1, 3, 2]]])
    assert contrast.recognised(lambda copies: exchanged[: len(copies)], images, 0) == 0.5
    assert contrast.recognised(lambda copies: np.concatenate([embeddings] * 2), images, 0) == 1
    assert contrast.recognised(lambda copies: np.zeros((8, 3), np.float32), images, 0) == 0.25  # no better than chance


def test_images_are_recognised_in_parts(monkeypatch):
    """Images differ in their brightness, which moving does not change, and their copies are embedded by it."""
    monkeypatch.setattr(contrast, "PART", 2)
    monkeypatch.setattr(contrast, "ALTERED", "move")
    images = np.broadcast_to(np.arange(0, 250, 50, dtype=np.uint8)[:, None, None, None], (5, *SHAPE))
    sizes = []

    def embed(copies):
        sizes.append(len(copies))
        angles = copies.mean(axis=(1, 2, 3)) / 255
        return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)

    assert contrast.recognised(embed, images, 0) == 1
    assert sizes == [4, 4, 2]


def test_boxes_lie_in_the_image_and_have_some_area():
    top, left, bottom, right = contrast._boxes(1000, np.random.default_rng(0)).T
    assert min(top.min(), left.min()) >= 0
    assert max(bottom.max(), right.max()) <= 1 + 1e-6
    areas = (bottom - top) * (right - left)
    assert contrast.LEAST_AREA - 1e-6 <= areas.min() < contrast.LEAST_AREA + 0.05
    assert areas.max() > 0.95
