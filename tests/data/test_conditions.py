"""Conditions: vectors of labels and attributes, what a label means, and codes whitened within classes."""

import numpy as np
import pytest

from glo.data import conditions
from glo.data.conditions import Conditions, independent, whiten

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


def test_whitened_codes_have_the_same_mean_and_covariance_in_every_group():
    random = np.random.default_rng(0)
    groups = np.arange(6000) % 3
    codes = random.standard_normal((6000, 4)) * [1, 0.7, 0.5, 0.3]
    codes[groups == 1] = codes[groups == 1] @ random.standard_normal((4, 4)) + 1
    whitened = whiten(codes.astype(np.float32), groups)
    within = sum(np.cov(codes[groups == group].T) for group in range(3)) / 3
    for group in range(3):
        new = whitened[groups == group]
        np.testing.assert_allclose(new.mean(axis=0), 0, atol=1e-5)
        np.testing.assert_allclose(np.cov(new.T), within, rtol=0.01, atol=0.01)
        # Nothing of the codes is lost, and the map is symmetric: an optimal transport.
        inputs = codes[groups == group] - codes[groups == group].mean(axis=0)
        matrix = np.linalg.lstsq(inputs, new, rcond=None)[0]
        np.testing.assert_allclose(inputs @ matrix, new, atol=1e-4)
        np.testing.assert_allclose(matrix, matrix.T, atol=1e-4)
        assert np.linalg.eigvalsh(matrix).min() > 0


def test_independent_codes_have_the_same_distribution_in_every_group():
    """Groups of equal mean and covariance: a normal distribution, one with a uniform coordinate, and a sphere."""
    random = np.random.default_rng(0)
    groups = np.arange(6000) % 3
    codes = random.standard_normal((6000, 4))
    codes[groups == 1, 0] = random.uniform(-np.sqrt(3), np.sqrt(3), 2000)
    codes[groups == 2] *= 2 / np.linalg.norm(codes[groups == 2], axis=1, keepdims=True)
    codes = (codes * [1, 0.7, 0.5, 0.3]).astype(np.float32)
    new = independent(codes, groups, seed=1)
    np.testing.assert_allclose(np.cov(new.T), np.cov(codes.T), atol=0.03)
    for group in range(3):
        scaled = new[groups == group] / new.std(axis=0)
        np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=0.03)
        np.testing.assert_allclose(np.mean(scaled**4, axis=0), 3, atol=0.3)  # 1.8 if it is uniform
        squares = np.square(scaled).sum(axis=1)
        assert squares.std() == pytest.approx(np.sqrt(8), rel=0.1)  # chi-squared with 4 degrees of freedom; a sphere 0
        correlations = [np.corrcoef(codes[groups == group, i], new[groups == group, i])[0, 1] for i in range(4)]
        assert min(correlations) > 0.8
    np.testing.assert_array_equal(new, independent(codes, groups, seed=1))


def test_groups_of_few_images_and_constant_coordinates_have_finite_codes():
    codes = np.random.default_rng(0).standard_normal((9, 5)).astype(np.float32)
    codes[:, 4] = 2
    whitened = whiten(codes, np.array([0, 0, 0, 0, 1, 1, 1, 1, 2]))
    assert np.isfinite(whitened).all()
    assert np.abs(whitened[8]).max() == 0  # the mean of its group
    assert np.isfinite(independent(codes, np.array([0, 0, 0, 0, 1, 1, 1, 1, 2]), seed=0)).all()
    assert 0.5 < np.linalg.norm(whitened[:8, :4]) / np.linalg.norm(codes[:8, :4]) < 2


def test_unconditional_models_have_conditions_of_no_coordinates():
    empty = conditions.unconditional(5)
    assert empty[np.array([4, 0])].shape == (2, 0)
    assert empty.candidates().shape == (1, 0)
    with pytest.raises(ValueError, match="not conditional"):
        empty.of(3, 5)
    assert isinstance(conditions.blank(("a", "b"), None, 3), Conditions)
