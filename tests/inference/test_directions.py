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


def test_planted_directions_are_found_where_the_weights_of_the_regressions_miss_them():
    found = fit(*planted(agreement=0.5))
    axes = np.eye(D)[:2]
    for step, weights, axis in zip(found.conditional, found.weights, axes, strict=True):
        assert cosine(step, axis) > 0.99
        assert cosine(weights, axis) < 0.99 or axis[1]
    assert cosine(found.weights[0], axes[0]) < 0.8  # because the noise of axes 0 and 2 is correlated


def test_moving_along_a_direction_leaves_the_scores_of_all_others_unchanged():
    codes, members = planted(agreement=0.85)
    found = fit(codes, members)
    before = found.scores(codes)
    moved = found.scores(found.move(codes, "0", 1.5, "none")) - before
    assert moved[:, 0].min() > 1
    np.testing.assert_allclose(moved[:, 1], 0, atol=1e-5)
    moved = found.scores(found.move(codes, "0", 1.5, "none", "difference")) - before
    assert moved[:, 1].min() > 1


def test_strength_one_is_the_distance_of_the_class_means_along_the_direction():
    """Along the direction: after projection on it, in the metric of the inverse covariance."""
    codes, members = planted(agreement=0.7)
    found = fit(codes, members)
    metric = np.linalg.inv(np.cov(codes, rowvar=False, bias=True))
    for i, has in enumerate(members.T):
        difference = codes[has].mean(axis=0) - codes[~has].mean(axis=0)
        step = found.move(np.zeros((1, D), np.float32), str(i), 1, "none")[0].astype(np.float64)
        np.testing.assert_allclose(difference @ metric @ step, step @ metric @ step, rtol=1e-3)
        step = found.move(np.zeros((1, D), np.float32), str(i), 1, "none", "difference")[0]
        np.testing.assert_allclose(step, difference, atol=1e-6)


def test_moved_codes_are_projected():
    codes, members = planted(agreement=0.5)
    moved = fit(codes, members).move(codes, "1", -40, "ball")
    assert moved.dtype == np.float32
    assert np.linalg.norm(moved, axis=1).max() <= 1 + 1e-6


@pytest.mark.parametrize("labels", [2, 3, 4])
def test_labels_move_to_their_class_and_keep_the_odds_of_the_others(labels):
    random = np.random.default_rng(0)
    numbers = random.integers(0, labels, 3000)
    codes = (random.standard_normal((3000, D)) * 0.05).astype(np.float32)
    codes[np.arange(3000), numbers] += 0.3
    found = fit(codes, numbers[:, None] == np.arange(labels), labels)
    assert np.mean(found.predict(codes).argmax(axis=1) == numbers) > 0.98
    np.testing.assert_array_equal(found.predict(codes).sum(axis=1), 1)
    moved = found.move(codes, "1", 3, "none")
    assert np.mean(found.predict(moved)[:, 1]) > 0.99
    change = found.scores(moved) - found.scores(codes)
    others = np.delete(change, 1, axis=1)
    np.testing.assert_allclose(others, others[:, :1].repeat(labels - 1, axis=1), atol=1e-4)
    assert (change[:, 1] - others[:, 0]).min() > 1


def test_labels_and_attributes_are_fitted_together():
    codes, members = planted(agreement=0.8)
    numbers = members[:, 0] + 2 * (np.arange(N) % 2)
    codes[:, 4] += 0.3 * (np.arange(N) % 2)
    together = np.concatenate([numbers[:, None] == np.arange(4), members[:, 1:]], axis=1)
    found = fit(codes, together, labels=4)
    change = found.scores(found.move(codes[:1], "4", 1, "none")) - found.scores(codes[:1])
    np.testing.assert_allclose(change[0, :4], change[0, 0], atol=1e-4)
    assert change[0, 4] > 0.2


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
    found = fit(codes, members)
    assert np.isfinite(found.conditional).all()
    for i in range(5):
        assert found.conditional[i] @ found.weights[i] > 0
