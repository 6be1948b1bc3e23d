"""Nearest images against all pairwise distances, and the share of near copies."""

import numpy as np
import pytest

from glo.data.lazy_array import Rows
from glo.inference.neighbors import nearest, spectra
from glo.metrics import memorization
from tests.support import samples


@pytest.mark.parametrize(("block_bytes", "queries_a_block"), [(1, 1), (10_000, 4), (1 << 28, 1024)])
def test_nearest_against_all_pairwise_distances(block_bytes, queries_a_block, monkeypatch):
    monkeypatch.setattr("glo.inference.neighbors.BLOCK_BYTES", block_bytes)
    monkeypatch.setattr("glo.inference.neighbors.QUERIES", queries_a_block)
    images, _ = samples(200, (4, 4, 1))
    queries, _ = samples(6, (4, 4, 1), seed=9)
    queries[5] = images[77]
    expected = np.sqrt(np.square(queries[:, None].astype(float) - images[None]).sum(axis=(2, 3, 4)))
    for k in (1, 3):
        distances, indices = nearest(queries, images, k)
        np.testing.assert_array_equal(indices, np.argsort(expected, axis=1)[:, :k])
        np.testing.assert_allclose(distances, np.sort(expected, axis=1)[:, :k], rtol=1e-5)
    assert distances[5, 0] == 0
    assert indices[5, 0] == 77
    assert nearest(queries, images[:2], 5)[1].shape == (6, 2)


def test_many_neighbors_are_those_of_few(monkeypatch):
    images, _ = samples(200, (4, 4, 1))
    images[50:60] = images[0]  # ties
    expected = nearest(images[:9], images, 7)
    monkeypatch.setattr("glo.inference.neighbors.FEW", 0)
    np.testing.assert_allclose(nearest(images[:9], images, 7)[0], expected[0], rtol=1e-5)


def test_spectra_do_not_change_if_images_are_shifted():
    images = np.zeros((20, 12, 11, 1), np.uint8)
    images[:, 3:8, 3:7] = samples(20, (5, 4, 1))[0]
    moved = np.roll(images, (2, -3), (1, 2))
    distances, indices = nearest(moved, images, features=spectra)
    np.testing.assert_array_equal(indices[:, 0], np.arange(20))
    assert distances.max() < 1e-2 < nearest(moved, images)[0].min()
    # The norm of differences of spectra is at most that of differences of images.
    assert (nearest(images[:5], images[5:], features=spectra)[0] <= nearest(images[:5], images[5:])[0] + 1e-3).all()


def test_share_of_copies():
    images, _ = samples(1200, (4, 4, 1))
    train, held_out, new = Rows(images, np.arange(400)), Rows(images, np.arange(400, 800)), images[800:]
    share, control = memorization.share_and_control(new, train, held_out)
    assert share == pytest.approx(memorization.QUANTILE, abs=0.04)
    assert 0 < control < 0.15
    assert memorization.share_and_control(train[:50], train, held_out) == (1, control)
    half = np.concatenate([images[:200], new[:200]])
    expected = 0.5 + memorization.QUANTILE / 2
    assert memorization.share_and_control(half, train, held_out)[0] == pytest.approx(expected, abs=0.03)
    assert control == memorization.share_and_control(images[400:800:2], train, images[401:800:2])[0]


def test_distances_are_relative_to_those_between_training_images():
    """Copies with noise of widely spaced images count, although held-out images of a dense group are as near."""
    random = np.random.default_rng(0)
    dense, wide = random.normal(128, 3, (2, 300, 8)), random.normal(128, 40, (3, 300, 8))
    train, held_out = np.concatenate([dense[0], wide[0]]), np.concatenate([dense[1], wide[1]])
    to_images = lambda values: np.clip(values, 0, 255).astype(np.uint8).reshape(-1, 2, 4, 1)  # noqa: E731
    copies = to_images(wide[0] + random.normal(0, 3, wide[0].shape))
    share = memorization.share_and_control(copies, to_images(train), to_images(held_out))[0]
    assert share > 0.8
    absolute = nearest(copies, to_images(train))[0] <= np.quantile(
        nearest(to_images(held_out), to_images(train))[0], 0.05
    )
    assert absolute.mean() < 0.1


def test_relative_distances_by_hand():
    # On a line, training images at 0, 10, 12 and 40: with one neighbor, their distances to it are 10, 2, 2 and 28.
    line = np.array([0, 10, 12, 40], np.uint8).reshape(-1, 1, 1, 1)
    images = np.array([3, 9, 14, 33, 10], np.uint8).reshape(-1, 1, 1, 1)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(memorization, "NEIGHBORS", 1)
        relative = memorization.relative_distances(images, line)
    np.testing.assert_allclose(relative, [3 / 10, 1 / 2, 2 / 2, 7 / 28, 0])
    np.testing.assert_array_equal(memorization.ratios(np.array([0.0, 1]), np.zeros(2)), [0, np.inf])


def test_copies_count_even_if_held_out_images_are_copies_themselves():
    """Duplicates between the splits make the threshold 0, and duplicates in the training images their spacing."""
    images, _ = samples(400, (4, 4, 1))
    train, held_out = images[:100], np.concatenate([images[:50], images[100:200]])
    assert memorization.share_and_control(train[:20], train, held_out)[0] == 1
    assert memorization.share_and_control(images[200:], train, held_out)[0] == 0
    repeated = np.repeat(train, 7, axis=0)
    assert memorization.share_and_control(train[:20], repeated, images[100:200])[0] == 1


def test_too_few_images_are_an_error():
    images, _ = samples(4, (2, 2, 1))
    for arguments in ((images[:0], images, images), (images, images[:1], images), (images, images, images[:1])):
        with pytest.raises(ValueError, match="held-out"):
            memorization.share_and_control(*arguments)
