"""Noise by rows: standard normal, independent, and a pure function of key, row and coordinate."""

import numpy as np
import pytest
import tensorflow as tf

from glo.model.row_noise import row_normal

N, DIMENSION = 40_000, 8


def noise(key, rows, dimension=DIMENSION):
    return row_normal(tf.constant(key, tf.int64), tf.constant(rows, tf.int64), dimension).numpy()


def test_values_are_standard_normal_and_independent():
    values = noise([5, 2**62 + 1], np.arange(N))
    other_step, other_seed = noise([6, 2**62 + 1], np.arange(N)), noise([5, 2**62 + 2], np.arange(N))
    error = 1 / np.sqrt(values.size)  # the standard error of a mean
    for power, expected, deviation in ((1, 0, 1), (2, 1, 2**0.5), (3, 0, 15**0.5), (4, 3, 96**0.5)):
        assert np.mean(values.astype(np.float64) ** power) == pytest.approx(expected, abs=4 * deviation * error)
    for other in (other_step, other_seed, np.roll(values, 1, axis=0), np.roll(values, 1, axis=1), values**2):
        assert np.corrcoef(values.ravel(), other.ravel())[0, 1] == pytest.approx(0, abs=4 * error)
    assert 4 < np.abs(values).max() < 6.5


def test_a_row_does_not_depend_on_the_others():
    rows = np.array([7, 2**40, 3])
    values = noise([1, 2], rows)
    for row, value in zip(rows, values, strict=True):
        np.testing.assert_array_equal(noise([1, 2], [row])[0], value)
    assert len(np.unique(values)) == values.size
    assert noise([1, 2], []).shape == (0, DIMENSION)
