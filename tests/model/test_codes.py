"""The code table: projections and row updates against computations by hand."""

import numpy as np
import pytest
import tensorflow as tf

from glo.model import codes as code_table
from glo.model.codes import ADAM_SCALE, CodeTable, project


def codes(n=6, d=3, scale=1.5, seed=0):
    return (np.random.default_rng(seed).standard_normal((n, d)) * scale).astype(np.float32)


def test_projections_by_hand():
    z = np.array([[3, 4], [0.3, 0.4], [0, 0]], np.float32)
    np.testing.assert_allclose(project(tf.constant(z), "ball"), [[0.6, 0.8], [0.3, 0.4], [0, 0]], rtol=1e-6)
    np.testing.assert_allclose(project(tf.constant(z), "sphere"), [[0.6, 0.8], [0.6, 0.8], [0, 0]], rtol=1e-6)
    np.testing.assert_array_equal(project(tf.constant(z), "none"), z)


@pytest.mark.parametrize("projection", ["ball", "sphere", "none"])
def test_initial_codes_are_projected(projection, monkeypatch):
    monkeypatch.setattr(code_table, "BLOCK", 4)  # so that the table is filled in two blocks
    initial = codes()
    norms = np.linalg.norm(initial, axis=1, keepdims=True)
    expected = {"ball": initial / np.maximum(1, norms), "sphere": initial / norms, "none": initial}[projection]
    np.testing.assert_allclose(CodeTable(initial, "sgd", projection).codes, expected, rtol=1e-5)


def test_an_sgd_step_updates_only_the_rows_of_the_batch():
    initial = codes(scale=0.2)
    table = CodeTable(initial, "sgd", "ball")
    rows, gradients = np.array([4, 1]), codes(2, 3, 3, seed=1)
    table.update(tf.constant(rows), table.gather(rows), tf.constant(gradients), tf.constant(0.5))
    expected = initial.copy()
    for row, gradient in zip(rows, gradients, strict=True):
        moved = initial[row] - 0.5 * gradient
        expected[row] = moved / max(1, np.linalg.norm(moved))
    np.testing.assert_allclose(table.codes, expected, rtol=1e-5)
    assert np.linalg.norm(expected[rows], axis=1).max() > 0.99  # at least one code was projected


def test_adam_counts_the_updates_of_each_row():
    initial = codes(scale=0.1)
    table = CodeTable(initial, "adam", "none")
    expected = initial.astype(np.float64)
    first, second, visits = np.zeros_like(expected), np.zeros_like(expected), np.zeros(len(initial))
    for step, rows in enumerate([[0, 1], [1, 2], [5, 1], [0, 5]]):
        rows = np.array(rows)
        gradients = codes(2, 3, seed=step + 1)
        table.update(tf.constant(rows), table.gather(rows), tf.constant(gradients), tf.constant(4.0))
        for row, gradient in zip(rows, gradients.astype(np.float64), strict=True):
            visits[row] += 1
            first[row] = 0.5 * first[row] + 0.5 * gradient
            second[row] = 0.9 * second[row] + 0.1 * gradient**2
            m, v = first[row] / (1 - 0.5 ** visits[row]), second[row] / (1 - 0.9 ** visits[row])
            expected[row] -= 4 * ADAM_SCALE * m / (np.sqrt(v) + 1e-8)
    np.testing.assert_allclose(table.codes, expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(table.visits, visits)
    np.testing.assert_array_equal(table.codes[3:5], initial[3:5])
