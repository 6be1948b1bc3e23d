"""Precision, recall, density and coverage against values computed by hand and against loops."""

import numpy as np
import pytest

from glo.metrics import manifold


def test_points_on_a_line_by_hand(monkeypatch):
    monkeypatch.setattr(manifold, "NEIGHBORS", 1)
    # Real balls: 0 +- 1, 1 +- 1, 3 +- 2, 100 +- 97. Generated balls: 0.5 +- 0.25, 0.75 +- 0.25, 300 +- 299.25.
    real, generated = np.array([[0.0], [1], [3], [100]]), np.array([[0.5], [0.75], [300.0]])
    scores = manifold.prdc(real, generated)
    assert scores["precision"] == pytest.approx(2 / 3)  # 0.5 and 0.75
    assert scores["recall"] == pytest.approx(3 / 4)  # 1, 3 and 100 are in the ball of 300; 0 is in no ball
    assert scores["density"] == pytest.approx(4 / 3)  # 0.5 and 0.75 are each in the balls of 0 and 1
    assert scores["coverage"] == pytest.approx(2 / 4)  # the balls of 0 and 1


def test_against_loops():
    random = np.random.default_rng(0)
    real, generated = random.standard_normal((40, 3)), random.standard_normal((30, 3)) + 0.5
    between = np.linalg.norm(real[:, None] - generated[None], axis=2)

    def radii(points):
        return [np.sort(np.linalg.norm(points - point, axis=1))[manifold.NEIGHBORS] for point in points]

    in_real, in_generated = between < np.array(radii(real))[:, None], between < np.array(radii(generated))[None]
    expected = {
        "precision": in_real.any(0).mean(),
        "recall": in_generated.any(1).mean(),
        "density": in_real.sum() / (manifold.NEIGHBORS * 30),
        "coverage": in_real.any(1).mean(),
    }
    assert manifold.prdc(real, generated) == pytest.approx(expected)
    assert 0 < expected["coverage"] < 1
