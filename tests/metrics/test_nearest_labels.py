"""k-NN accuracy, against a loop that counts votes."""

from collections import Counter

import numpy as np
import pytest

from glo.metrics import nearest_labels


@pytest.mark.parametrize("k", [1, 5, 20])
def test_the_most_frequent_label_wins_and_the_nearest_among_equals(k):
    random = np.random.default_rng(k)
    neighbors, labels = random.integers(-1, 4, (200, k)), random.integers(-1, 4, 200)
    # `most_common` keeps the order of first appearance among equals, which is that of the distances.
    predicted = [Counter(row).most_common(1)[0][0] for row in neighbors.tolist()]
    expected = np.mean([a == b for a, b in zip(predicted, labels.tolist(), strict=True)])
    assert nearest_labels.accuracy(neighbors, labels) == pytest.approx(expected)
    assert 0 < expected < 1


def test_ties_go_to_the_nearest():
    assert nearest_labels.accuracy(np.array([[7, 3, 3, 7, 5]]), np.array([7])) == 1
