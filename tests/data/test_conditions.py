"""Conditions: vectors of labels and attributes, and what a label means."""

import numpy as np
import pytest

from glo.data import conditions
from glo.data.conditions import Conditions

LABELS = np.array([7, 3, 3, 9, 7, 5], np.int32)  # 5 is in no training image
TRAIN = np.arange(5)
NAMES = ("Male", "Smiling", "Hat")
ATTRIBUTES = np.array([[0, 1, 1], [1, 1, 0], [0, 1, 1], [0, 0, 0]], np.int8)


@pytest.fixture
def labels():
    return conditions.of_labels(LABELS, (), TRAIN)


@pytest.fixture
def attributes():
    return conditions.of_attributes(ATTRIBUTES, NAMES, np.arange(4), ["Smiling", "Male"])


def test_labels_are_one_hot_vectors_of_the_training_classes(labels):
    assert (labels.numbers, labels.names, labels.shape) == ((3, 7, 9), ("3", "7", "9"), (6, 3))
    expected = [[0, 1, 0], [1, 0, 0], [1, 0, 0], [0, 0, 1], [0, 1, 0], [0, 0, 0]]
    np.testing.assert_array_equal(labels[:], np.array(expected, np.float32))
    np.testing.assert_array_equal(labels[np.array([3, 0])], [[0, 0, 1], [0, 1, 0]])
    assert labels[:].dtype == np.float32
    assert labels.labels(labels[:5]).tolist() == LABELS[:5].tolist()


def test_labels_are_named_where_the_dataset_names_them():
    named = conditions.of_labels(np.array([0, 1, 4], np.int32), ("cat", "1", "0"), np.arange(3))
    assert named.names == ("cat", "1", "4")
    np.testing.assert_array_equal(named.of(["cat", 0, "4"], 3), np.eye(3)[[0, 0, 2]])


def test_attributes_are_vectors_in_the_order_of_their_names(attributes):
    np.testing.assert_array_equal(attributes[:], [[1, 0], [1, 1], [1, 0], [0, 0]])
    np.testing.assert_array_equal(attributes.of("Male", 2), [[0, 1], [0, 1]])
    np.testing.assert_array_equal(attributes.of([1, 0], 2), [[1, 0], [1, 0]])
    np.testing.assert_array_equal(attributes.candidates()[0], [1, 0])  # the most frequent combination
    names, varied = attributes.variations(attributes[:2])
    assert names == ("not:Smiling", "Smiling", "not:Male", "Male")
    np.testing.assert_array_equal(varied[0], [[0, 0], [1, 0], [1, 0], [1, 1]])
    np.testing.assert_array_equal(varied[1], [[0, 1], [1, 1], [1, 0], [1, 1]])


def test_the_condition_of_an_analogy(labels, attributes):
    three, seven, nine = np.eye(3, dtype=np.float32)
    for a, b, c, expected in (
        (three, three, seven, seven),
        (three, seven, three, seven),
        (three, seven, seven, seven),
        (three, seven, nine, [0, 0.5, 0.5]),
    ):
        np.testing.assert_array_equal(labels.analogous(np.stack([a, b, c])), expected)
    vectors = np.array([[0, 1], [1, 0], [1, 1]], np.float32)
    np.testing.assert_array_equal(attributes.analogous(vectors), [1, 0])  # of 2 and 0
    assert conditions.unconditional(1).analogous(np.empty((3, 0), np.float32)).shape == (0,)


@pytest.mark.parametrize("label", [4, "4", "cat", [3, 7], [3] * 5])
def test_other_labels_are_errors(labels, label):
    with pytest.raises(ValueError, match="label"):
        labels.of(label, 4)


@pytest.mark.parametrize("label", ["Hat", "Smilling", [0, 1, 1], [0, 0.5], [[[0, 1]]]])
def test_other_attributes_are_errors(attributes, label):
    with pytest.raises(ValueError, match=r"attribute|label"):
        attributes.of(label, 1)


def test_the_condition_determines_its_own_classes(labels, attributes):
    assert labels.determine(LABELS == 7)
    assert not labels.determine(np.arange(6) < 2)
    assert attributes.determine(ATTRIBUTES[:, 0] == 1)
    assert not attributes.determine(np.arange(4) == 0)  # row 2 has the same attributes
    assert not conditions.unconditional(4).determine(np.arange(4) < 2)


def test_the_fingerprint_changes_with_one_label(labels):
    changed = LABELS.copy()
    changed[1] = 9
    assert labels.fingerprint() == conditions.of_labels(LABELS.copy(), (), TRAIN).fingerprint()
    assert labels.fingerprint() != conditions.of_labels(changed, (), TRAIN).fingerprint()


def test_unconditional_models_have_conditions_of_no_coordinates():
    empty = conditions.unconditional(5)
    assert empty[np.array([4, 0])].shape == (2, 0)
    assert empty.candidates().shape == (1, 0)
    with pytest.raises(ValueError, match="not conditional"):
        empty.of(3, 5)
    assert isinstance(conditions.blank(("a", "b"), None, 3), Conditions)
