"""Selection of samples by label, and of a number of samples from each split."""

import numpy as np
import pytest

from glo.building.selection import choose, parse_labels, select
from glo.data.block import Block
from glo.runtime.errors import UserError
from tests.support import assert_one_line_error, call, samples


def test_labels_are_numbers_or_names():
    assert parse_labels("3,5") == {3, 5}
    assert parse_labels(" 5 , 3,5") == {3, 5}
    assert parse_labels("dogs,0", ["cats", "dogs"]) == {0, 1}
    assert parse_labels("1", ["1", "0"]) == {0}  # names win over numbers
    for text, names, word in (("cat", ["cats", "dogs"], "did you mean cats?"), ("2", ["cats", "dogs"], "cats, dogs")):
        with pytest.raises(UserError, match=word):
            parse_labels(text, names)
    for text in ("cats", "-1", "1.5", "³", ","):
        with pytest.raises(UserError, match="labels are numbers"):
            parse_labels(text)


def test_choose_draws_the_number_from_each_group_by_the_seed():
    groups = np.array([0, 1, 0, 0, 2, 0, 1, 0, 0, 1])
    np.testing.assert_array_equal(choose(groups, None, 0), np.arange(10))
    chosen = [choose(groups, 2, seed) for seed in range(20)]
    for rows in chosen:
        assert (np.diff(rows) > 0).all()
        assert np.bincount(groups[rows]).tolist() == [2, 2, 1]
    np.testing.assert_array_equal(chosen[3], choose(groups, 2, 3))
    assert set(np.concatenate(chosen).tolist()) == set(range(10))


def blocks():
    """Three blocks of 12 images with every field: 24 training and 12 test images, labels 0 to 4 in turn."""
    for number in range(3):
        images, codes = samples(12, seed=number)
        labels = (np.arange(12, dtype=np.int32) + 12 * number) % 5
        attributes = np.stack([labels % 2, labels % 3 == 0], axis=1).astype(np.int8)
        ids = [f"{12 * number + row}" for row in range(12)]
        yield Block(images, np.full(12, number // 2, np.uint8), labels, ids, codes, attributes)


def joined(blocks, field):
    return np.concatenate([getattr(block, field) for block in blocks])


@pytest.mark.parametrize(
    ("labels", "max_samples"), [(None, None), ("1,4", None), (None, 5), ("3", 4), ("0,1,2,3,4", 1000)]
)
def test_select_keeps_the_same_rows_as_a_plain_filter(labels, max_samples):
    whole, selected = list(blocks()), list(select(blocks, labels, max_samples, 7))
    wanted = np.ones(36, bool) if labels is None else np.isin(joined(whole, "labels"), [*map(int, labels.split(","))])
    rows = np.flatnonzero(wanted)
    rows = rows[choose(joined(whole, "split")[rows], max_samples, 7)]
    for field in ("images", "split", "labels", "codes", "attributes", "ids"):
        np.testing.assert_array_equal(joined(selected, field), joined(whole, field)[rows])


def test_select_draws_the_samples_of_each_split_at_random():
    """The first rows would not do: sources are often sorted by class, so that they would all have the same class."""
    chosen = [joined(select(blocks, None, 5, seed), "ids").tolist() for seed in range(30)]
    assert chosen[0] == joined(select(blocks, None, 5, 0), "ids").tolist()
    assert all(sum(int(name) < 24 for name in ids) == 5 for ids in chosen)
    assert {int(name) for ids in chosen for name in ids} == set(range(36))


def test_labels_that_no_image_has():
    with pytest.raises(UserError, match="no image has label 7"):
        list(select(blocks, "1,7", 1, 0))
    with pytest.raises(UserError, match="no labels"):
        list(select(lambda: [Block(samples(4)[0])], "1", None, 0))


def test_the_flags_labels_and_max_samples(tmp_path, monkeypatch):
    import h5py

    monkeypatch.chdir(tmp_path)
    flags = ("--datasets", "DIGITS", "--distribution", "Gaussian", "--dimension", 4)
    assert call("download.py", *flags, "--labels", "3,5", "--max_samples", 50).returncode == 0
    with h5py.File("datasets/digits/data.hdf5") as file:
        assert set(file["label"][:].tolist()) == {3, 5}
        assert len(file["image"]) == 50
        assert (file.attrs["labels"], file.attrs["max_samples"]) == ("3,5", 50)
    assert call("download.py", *flags, "--labels", "3,5", "--max_samples", 50).returncode == 0
    assert_one_line_error(call("download.py", *flags, "--labels", "3"), "already exists with", "labels 3,5")
    assert_one_line_error(call("download.py", *flags, "--labels", "3,12", "--force"), "no image has label 12")
    assert_one_line_error(call("download.py", *flags, "--labels", "three", "--force"), "--labels three", "numbers")
    assert_one_line_error(call("download.py", "--convert", "x", "--labels", "3"), "--labels has no effect")
    np.savez("x.npz", image=samples(20)[0])
    flags = ("--npz", "x.npz", "--name", "X", "--distribution", "Gaussian", "--dimension", 4)
    assert_one_line_error(call("download.py", *flags, "--labels", "3"), "no labels")
    assert call("download.py", *flags, "--max_samples", 7).returncode == 0
    with h5py.File("datasets/X/data.hdf5") as file:
        np.testing.assert_array_equal(file["image"][:], samples(20)[0][choose(np.zeros(20), 7, 0)])
