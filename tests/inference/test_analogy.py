"""Analogies of codes by their formula."""

import numpy as np
import pytest

from glo.inference.analogy import parallelogram

POSITIONS = np.array([0, 0.25, 1])


def test_the_fourth_code_and_those_between():
    a, b, c = codes = np.array([[0.1, 0.2], [0.3, -0.1], [-0.2, 0.4]], np.float32)
    filled = parallelogram(codes, POSITIONS, POSITIONS, "ball")
    assert filled.dtype == np.float32
    for i, v in enumerate(POSITIONS):
        for j, u in enumerate(POSITIONS):
            np.testing.assert_allclose(filled[i, j], a + u * (b - a) + v * (c - a), atol=1e-6)


@pytest.mark.parametrize(("projection", "d"), [("ball", [0.6, 0.8]), ("none", [0.9, 1.2])])
def test_the_fourth_code_is_projected_before_the_others_are_interpolated(projection, d):
    codes = np.array([[0, 0], [0.9, 0], [0, 1.2]], np.float32)
    filled = parallelogram(codes, POSITIONS, POSITIONS, projection)
    np.testing.assert_allclose(filled[2, 2], d, atol=1e-6)
    np.testing.assert_allclose(filled[1, 2], 0.75 * codes[1] + 0.25 * np.array(d), atol=1e-6)


def test_all_codes_are_on_the_sphere():
    codes = np.eye(3, 4, dtype=np.float32)
    filled = parallelogram(codes, POSITIONS, POSITIONS, "sphere")
    np.testing.assert_allclose(np.linalg.norm(filled, axis=2), 1, atol=1e-6)
    np.testing.assert_allclose(filled[2, 2], np.array([-1, 1, 1, 0]) / np.sqrt(3), atol=1e-6)
