"""Shortest paths in the nearest-neighbour graph, against Bellman-Ford on a dense matrix and on codes of known shape."""

import numpy as np
import pytest

from glo.inference import graph


def circle(n, share=0.9):
    """Codes on a part of the unit circle, in order, float32 [n, 2]."""
    angles = np.linspace(0, 2 * np.pi * share, n)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def cost(path):
    return np.square(np.diff(path.astype(float), axis=0)).sum()


def expected_cost(codes, source, target):
    """The least sum of squared distances along edges between mutual or one-sided nearest neighbours."""
    squares = np.square(codes[:, None].astype(float) - codes[None]).sum(axis=2)
    near = squares <= np.sort(squares, axis=1)[:, [graph.NEIGHBORS]]
    edges = np.where(near | near.T, squares, np.inf)
    costs = np.where(np.arange(len(codes)) == source, 0, np.inf)
    for _ in codes:
        costs = (costs[:, None] + edges).min(axis=0)
    return costs[target]


def test_paths_follow_the_codes_where_a_line_would_leave_them():
    codes = circle(300)
    (path,) = graph.shortest_paths(codes, codes[:1], codes[-1:])
    np.testing.assert_array_equal(path, codes)  # many short hops cost less than fewer long ones
    assert np.linalg.norm(codes[[0, -1]].mean(axis=0)) > 0.9  # the gap itself is short


def test_costs_are_least_against_a_dense_computation():
    codes = np.random.default_rng(0).standard_normal((150, 3)).astype(np.float32)
    ends = np.arange(40).reshape(2, 20)
    for path, source, target in zip(graph.shortest_paths(codes, *codes[ends]), *ends, strict=True):
        np.testing.assert_array_equal(path[[0, -1]], codes[[source, target]])
        assert cost(path) == pytest.approx(expected_cost(codes, source, target), rel=1e-4)


def test_separate_clusters_are_joined_by_their_nearest_codes():
    random = np.random.default_rng(0)
    clusters = [random.uniform(-0.1, 0.1, (60, 2)) + np.array([10 * k, 0]) for k in range(3)]
    codes = np.concatenate(clusters).astype(np.float32)
    (path,) = graph.shortest_paths(codes, codes[:1], codes[-1:])
    jumps = path[np.flatnonzero(np.diff(path[:, 0]) > 5)[:, None] + [0, 1]]
    assert len(jumps) == 2
    for jump, left, right in zip(jumps, codes.reshape(3, 60, 2)[:-1], codes.reshape(3, 60, 2)[1:], strict=True):
        gaps = np.linalg.norm(left[:, None] - right[None], axis=2)
        assert np.linalg.norm(jump[1] - jump[0]) == pytest.approx(gaps.min(), rel=1e-5)


def test_ends_need_not_be_learned_codes_and_may_be_equal():
    codes, far = circle(50), np.array([[3, 0], [3, 0]], np.float32)
    to_code, to_itself = graph.shortest_paths(codes, far, np.stack([codes[20], far[0]]))
    np.testing.assert_array_equal(to_code, [far[0], *codes[: len(to_code) - 1]])
    np.testing.assert_array_equal(to_code[-1], codes[20])
    np.testing.assert_array_equal(to_itself, far[:1])


@pytest.mark.parametrize("n", [1, 2, 40])
def test_equal_codes_are_one_node(n):
    codes = np.zeros((n, 3), np.float32)
    (path,) = graph.shortest_paths(codes, codes[:1], codes[-1:])
    np.testing.assert_array_equal(path, codes[:1])


def test_the_graph_holds_a_seeded_choice_of_many_codes(monkeypatch):
    codes = circle(1000, share=0.5)
    monkeypatch.setattr(graph, "NODES", 30)
    one, same, other = (graph.shortest_paths(codes, codes[:1], codes[-1:], seed)[0] for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)
    assert 20 < len(one) <= 32  # the chosen codes and the ends
    assert {tuple(code) for code in one} <= {tuple(code) for code in codes}
