"""Directions of codes, on codes with planted effects of attributes and labels."""

import numpy as np
import pytest

from glo.inference import directions

N, D = 6000, 6
NOISE = np.eye(D)  # covariance of codes with equal attributes
NOISE[0, 2] = NOISE[2, 0] = 0.9


def cosine(a, b):
    return a @ b / np.linalg.norm(a) / np.linalg.norm(b)


def planted(agreement, seed=0):
    """Codes float32 [N, D] and two attributes bool [N, 2]: the first moves axis 0, the second axis 1.

    agreement: the share of codes with equal attributes; 0.5 makes them independent.
    """
    random = np.random.default_rng(seed)
    first = random.random(N) < 0.4
    members = np.stack([first, np.where(random.random(N) < agreement, first, ~first)], axis=1)
    codes = random.multivariate_normal(np.zeros(D), NOISE, N)
    codes[:, :2] += 2 * members
    return (0.1 * codes + 0.03).astype(np.float32), members


def fit(codes, members, labels=0):
    return directions.fit(codes, members, [str(i) for i in range(members.shape[1])], labels)


@pytest.mark.parametrize(("agreement", "least"), [(0.5, 0.99), (0.8, 0.95)])
def test_planted_effects_are_found_where_means_and_weights_miss_them(agreement, least):
    fitted = fit(*planted(agreement))
    for step, axis in zip(fitted.conditional, np.eye(D), strict=False):
        assert cosine(step, axis) > least
    assert cosine(fitted.weights[0], np.eye(D)[0]) < 0.8  # because the noise of axes 0 and 2 is correlated
    if agreement != 0.5:
        assert cosine(fitted.difference[0], np.eye(D)[0]) < 0.9


def test_moving_along_a_direction_keeps_the_score_of_the_other_attribute():
    codes, members = planted(agreement=0.85)
    fitted = fit(codes, members)
    change = {
        direction: (fitted.scores(fitted.move(codes, "0", 1, "none", direction)) - fitted.scores(codes)).mean(axis=0)
        for direction in directions.DIRECTIONS
    }
    np.testing.assert_allclose(change["conditional"][0], change["difference"][0], rtol=1e-4)
    assert change["difference"][1] > 0.5 * change["difference"][0]
    assert abs(change["conditional"][1]) < 0.4 * change["difference"][1]


def test_the_formula_in_the_coordinates_of_codes():
    """Not whitened: distances by the inverse covariance, effects by least squares."""
    codes, members = planted(agreement=0.7)
    fitted = fit(codes, members)
    covariance = np.cov(codes, rowvar=False, bias=True)
    effects = np.linalg.lstsq(np.concatenate([members, np.ones((N, 1))], axis=1), codes, rcond=None)[0]
    for i, other in enumerate((1, 0)):
        weights = fitted.weights[other]
        penalty = np.outer(weights, weights) / (weights @ covariance @ weights)
        precision = np.linalg.inv(covariance)
        expected = np.linalg.solve(precision + penalty, precision @ effects[i])
        assert cosine(fitted.conditional[i], expected) > 0.9999


def test_strength_one_is_the_distance_of_the_class_means():
    codes, members = planted(agreement=0.7)
    fitted = fit(codes, members)
    scores = fitted.scores(codes)
    for i, has in enumerate(members.T):
        distance = scores[has, i].mean() - scores[~has, i].mean()
        for direction in directions.DIRECTIONS:
            moved = fitted.scores(fitted.move(codes, str(i), 1, "none", direction))
            np.testing.assert_allclose((moved - scores)[:, i], distance, rtol=1e-4)
        step = fitted.move(np.zeros((1, D), np.float32), str(i), 1, "none", "difference")[0]
        np.testing.assert_allclose(step, codes[has].mean(axis=0) - codes[~has].mean(axis=0), atol=1e-6)


def test_moved_codes_are_projected():
    codes, members = planted(agreement=0.5)
    fitted = fit(codes, members)
    moved = fitted.move(codes, "1", -40, "ball")
    assert moved.dtype == np.float32
    assert np.linalg.norm(moved, axis=1).max() <= 1 + 1e-6


@pytest.mark.parametrize("labels", [2, 3, 4])
def test_labels_move_to_their_class_and_not_to_another(labels):
    random = np.random.default_rng(0)
    numbers = random.integers(0, labels, 3000)
    codes = (random.standard_normal((3000, D)) * 0.05).astype(np.float32)
    codes[np.arange(3000), numbers] += 0.3
    fitted = fit(codes, numbers[:, None] == np.arange(labels), labels)
    assert np.mean(fitted.predict(codes).argmax(axis=1) == numbers) > 0.98
    np.testing.assert_array_equal(fitted.predict(codes).sum(axis=1), 1)
    moved = fitted.move(codes, "1", 3, "none")
    assert np.mean(fitted.predict(moved)[:, 1]) > 0.99
    expected = np.eye(D)[1] - np.delete(np.eye(D)[:labels], 1, axis=0).mean(axis=0)
    assert cosine(fitted.conditional[1], expected) > 0.99


def test_labels_and_attributes_are_fitted_together():
    """Label and attribute mostly agree; the label moves axis 0, the attribute axis 1."""
    codes, members = planted(agreement=0.8)
    together = np.stack([~members[:, 0], members[:, 0], members[:, 1]], axis=1)
    fitted = fit(codes, together, labels=2)
    for step, axis, least in zip(fitted.conditional[1:], np.eye(D), (0.95, 0.95), strict=False):
        assert cosine(step, axis) > least
    np.testing.assert_allclose(fitted.conditional[0], -fitted.conditional[1], atol=1e-4)


def test_an_attribute_that_is_nearly_another_one_is_not_moved_to_infinity():
    codes, members = planted(agreement=0.5)
    twins = np.stack([members[:, 0], members[:, 0] ^ (np.arange(N) % 100 == 0)], axis=1)
    lengths = np.linalg.norm(fit(codes, twins).conditional, axis=1)
    assert lengths.max() < 10 * np.linalg.norm(fit(codes, members).conditional[0])


def test_codes_without_any_of_the_labels_do_not_count_as_one():
    random = np.random.default_rng(0)
    numbers = np.arange(900) % 3
    codes = (random.standard_normal((900, D)) * 0.05).astype(np.float32)
    codes[np.arange(900), numbers] += 0.3
    members = numbers[:, None] == np.arange(2)  # the third label is not among the columns
    known = fit(codes, members, labels=2)
    np.testing.assert_allclose(cosine(known.weights[0], known.weights[1]), -1)
    assert np.mean(known.predict(codes[numbers < 2]).argmax(axis=1) == numbers[numbers < 2]) > 0.98


def test_held_out_codes_choose_a_strong_penalty_for_attributes_that_codes_do_not_hold(monkeypatch):
    random = np.random.default_rng(0)
    codes = random.standard_normal((120, 40)).astype(np.float32)
    members = np.stack([random.random(120) < 0.5, codes[:, 0] > 0], axis=1)
    noise, signal = np.linalg.norm(fit(codes, members).weights, axis=1)
    assert noise < 0.3 * signal


def test_the_nearer_class_mean():
    codes, members = planted(agreement=0.5)
    expected = np.stack(
        [
            np.linalg.norm(codes - codes[has].mean(axis=0), axis=1)
            < np.linalg.norm(codes - codes[~has].mean(axis=0), axis=1)
            for has in members.T
        ],
        axis=1,
    )
    assert np.mean(fit(codes, members).predict_by_means(codes) == expected) > 0.999


def test_more_attributes_than_dimensions():
    random = np.random.default_rng(0)
    codes = random.standard_normal((400, 2)).astype(np.float32)
    members = codes @ random.standard_normal((2, 5)) > 0
    fitted = fit(codes, members)
    assert np.isfinite(fitted.conditional).all()
    for i in range(5):
        assert np.linalg.norm(fitted.conditional[i]) > 0
