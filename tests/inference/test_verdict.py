"""Verdicts on fits: Tukey's fences of the logarithms of losses."""

import numpy as np
import pytest

from glo.inference.verdict import LIKE, UNLIKE, UNUSUAL, fences, judge


def test_fences_are_those_of_tukey():
    losses = np.exp(np.arange(101.0) / 100)  # quartiles of the logarithms: 0.25 and 0.75
    assert fences(losses) == pytest.approx((np.exp(0.75 + 1.5 * 0.5), np.exp(0.75 + 3 * 0.5)))
    assert fences(1000 * losses) == pytest.approx([1000 * fence for fence in fences(losses)])


def test_each_loss_gets_its_verdict():
    held_out = np.exp(np.random.default_rng(0).normal(size=1000)).astype(np.float32)
    unusual, unlike = fences(held_out)
    losses = np.array([0, np.median(held_out), unusual * 0.99, unusual * 1.01, unlike * 0.99, unlike * 1.01, np.inf])
    assert judge(losses, held_out) == [LIKE, LIKE, LIKE, UNUSUAL, UNUSUAL, UNLIKE, UNLIKE]
    shares = [judge(held_out, held_out).count(verdict) / 1000 for verdict in (LIKE, UNLIKE)]
    assert shares[0] > 0.99  # of normally distributed logarithms, 0.35 % are above the inner fence
    assert shares[1] < 0.001


def test_equal_losses_and_losses_of_zero():
    assert judge(np.array([0.2, 0.3]), np.full(5, 0.2)) == [LIKE, UNLIKE]
    assert judge(np.array([0.0]), np.zeros(3)) == [LIKE]
