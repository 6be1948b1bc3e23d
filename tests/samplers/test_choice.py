"""The sampler that `auto` chooses: by whether the leading directions of codes predict the others."""

import numpy as np
import pytest

from glo.samplers.choice import choose, compared_rows, unexplained
from glo.settings.shared import automatic_components


def codes_of(n, predicted):
    """Codes float32 [n, 8]: four leading directions, and four smaller ones that follow from them or do not."""
    random = np.random.default_rng(0)
    leading, noise = random.standard_normal((2, n, 4))
    others = np.square(leading) - 1 if predicted else noise
    rotation = np.linalg.qr(random.standard_normal((8, 8)))[0]
    return (np.concatenate([leading, 0.1 * others], axis=1) @ rotation + 3).astype(np.float32)


def test_leading_is_chosen_where_it_predicts():
    assert choose(codes_of(3000, True), 3000) == ("leading", None)
    assert choose(codes_of(3000, False), 3000) == ("gmm", 60)
    assert unexplained(codes_of(3000, True)) < 0.4
    assert unexplained(codes_of(3000, False)) == pytest.approx(1.1, abs=0.1)  # the mean of ten has a tenth of it


@pytest.mark.parametrize(
    "codes",
    [codes_of(99, True), codes_of(1000, True)[:, :1], codes_of(1, True), np.full((1000, 8), np.nan, np.float32)],
)
def test_few_codes_or_dimensions_are_described_by_a_mixture(codes):
    assert choose(codes, len(codes)) == ("gmm", automatic_components(len(codes)))


def test_a_random_choice_of_many_codes_is_compared():
    rows = compared_rows(10**6, 1)
    assert len(np.unique(rows)) == len(rows) == 21_000
    assert sorted(compared_rows(50, 1)) == list(range(50))


@pytest.mark.parametrize(("n", "components"), [(1, 1), (99, 1), (1000, 20), (8000, 100), (40_000, 400), (10**6, 1000)])
def test_components(n, components):
    assert automatic_components(n) == components
