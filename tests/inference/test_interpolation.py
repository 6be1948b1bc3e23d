"""Paths between codes."""

import numpy as np
import pytest

from glo.inference.interpolation import linear, polyline, slerp

POSITIONS = np.array([0, 0.25, 0.5, 1])


@pytest.mark.parametrize("path", [linear, slerp])
def test_a_path_starts_and_ends_at_the_codes(path):
    a, b = np.array([0.3, 0.1, -0.5]), np.array([0.1, -0.8, 0.2])
    points = path(a, b, POSITIONS)
    np.testing.assert_allclose(points[[0, -1]], [a, b], atol=1e-6)
    assert points.dtype == np.float32


def test_slerp_by_hand():
    path = slerp(np.array([1.0, 0]), np.array([0, 0.5]), np.array([1 / 3, 0.5]))
    angles = np.array([np.pi / 6, np.pi / 4])
    norms = np.array([5 / 6, 0.75])
    np.testing.assert_allclose(path, norms[:, None] * np.stack([np.cos(angles), np.sin(angles)], 1), atol=1e-6)


@pytest.mark.parametrize("b", [[2.0, 0], [-1.0, 0], [0.0, 0]])
def test_slerp_is_linear_where_the_arc_is_not_unique(b):
    np.testing.assert_allclose(
        slerp(np.array([1.0, 0]), np.array(b), POSITIONS), [[1 - t + t * b[0], 0] for t in POSITIONS], atol=1e-6
    )


def test_segments_of_a_polygon_take_equal_shares():
    knots = np.array([[0, 0], [4, 0], [4, 1]], np.float32)
    np.testing.assert_allclose(polyline(knots, POSITIONS), [[0, 0], [2, 0], [4, 0], [4, 1]])
    np.testing.assert_allclose(polyline(knots[:1], POSITIONS), np.zeros((4, 2)))
