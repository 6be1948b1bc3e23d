"""Nearest images against all pairwise distances, and the share of memorised images."""

import numpy as np
import pytest

from glo.data.lazy_array import Rows
from glo.inference.neighbors import nearest
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


def test_share_of_copies():
    images, _ = samples(1200, (4, 4, 1))
    train, held_out, new = Rows(images, np.arange(400)), Rows(images, np.arange(400, 800)), images[800:]
    assert memorization.share(new, train, held_out) == pytest.approx(memorization.QUANTILE, abs=0.04)
    assert memorization.share(train[:50], train, held_out) == 1
    half = np.concatenate([images[:200], new[:200]])
    assert memorization.share(half, train, held_out) == pytest.approx(0.5 + memorization.QUANTILE / 2, abs=0.03)
    # By hand: on a line with a training image at 0, held-out images at 1 to 100 make the threshold 5.95.
    line = np.arange(256, dtype=np.uint8).reshape(-1, 1, 1, 1)
    assert memorization.share(line[[2, 5, 6, 9]], line[:1], line[1:101]) == 0.5


def test_copies_count_even_if_held_out_images_are_copies_themselves():
    """Duplicates between the splits make the threshold 0."""
    images, _ = samples(400, (4, 4, 1))
    train, held_out = images[:100], np.concatenate([images[:50], images[100:200]])
    assert memorization.share(train[:20], train, held_out) == 1
    assert memorization.share(images[200:], train, held_out) == 0


def test_the_control_is_measured_on_held_out_images():
    images, _ = samples(1200, (4, 4, 1))
    share, control = memorization.share_and_control(images[:300], images[:400], images[400:800])
    assert share == memorization.share(images[:300], images[:400], images[400:800]) == 1
    assert control == memorization.share(images[400:800:2], images[:400], images[401:800:2])
    assert 0 < control < 0.15


def test_no_held_out_images_are_an_error():
    images, _ = samples(4, (2, 2, 1))
    with pytest.raises(ValueError, match="held-out"):
        memorization.share(images, images, images[:0])
