"""Loading a dataset into memory or leaving it in the file, and the seeded split."""

import h5py
import numpy as np
import pytest

from glo.data.dataset import seeded_split
from glo.data.lazy_array import LazyArray
from glo.runtime import memory
from glo.runtime.errors import UserError
from tests import support
from tests.support import samples, write_flat, write_grouped

SPLIT = np.array([0, 1, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0], np.uint8)


def load(folder, test_fraction=0.25, seed=0, **options):
    return support.load(folder.parent, folder.name, test_fraction=test_fraction, seed=seed, **options)


def test_every_array_is_read(tmp_path):
    images, codes = samples()
    labels = np.arange(12, dtype=np.int32) % 10
    write_flat(tmp_path / "CATS", images, codes, split=SPLIT, label=labels, ids=[f"cat {i}" for i in range(12)])
    dataset = load(tmp_path / "CATS")
    np.testing.assert_array_equal(dataset.images, images)
    np.testing.assert_array_equal(dataset.codes, codes)
    np.testing.assert_array_equal(dataset.labels, labels)
    np.testing.assert_array_equal(dataset.split, SPLIT)
    np.testing.assert_array_equal(dataset.train_rows, [0, 2, 3, 5, 6, 7, 9, 10, 11])
    np.testing.assert_array_equal(dataset.test_rows, [1, 4, 8])
    assert (dataset.image_shape, dataset.dimension) == ((5, 4, 3), 3)
    kinds = (dataset.images, dataset.codes, dataset.labels, dataset.split)
    assert [array.dtype for array in kinds] == [np.uint8, np.float32, np.int32, np.uint8]


def test_optional_arrays_may_be_missing(tmp_path):
    write_flat(tmp_path / "CATS", *samples())
    dataset = load(tmp_path / "CATS")
    assert dataset.labels is None
    assert len(dataset.test_rows) == 3
    assert sorted([*dataset.train_rows, *dataset.test_rows]) == list(range(12))


def test_a_known_dataset_is_found_in_lower_case_and_a_users_as_typed(tmp_path):
    images, codes = samples()
    write_flat(tmp_path / "mnist", images, codes)
    assert load(tmp_path / "MNIST").path == tmp_path / "mnist" / "data.hdf5"
    write_flat(tmp_path / "MNIST", images[:5], codes[:5])
    assert len(load(tmp_path / "MNIST").images) == 5


def test_a_missing_dataset_says_what_to_type(tmp_path, monkeypatch):
    with pytest.raises(UserError) as caught:
        load(tmp_path / "MNIST")
    assert f"python download.py --datasets MNIST --data_dir {tmp_path}," in str(caught.value)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"type python download\.py --datasets MNIST, or see README\.md"):
        support.load("datasets", "MNIST")
    (tmp_path / "MNIST").mkdir()
    with pytest.raises(UserError, match=r"python download\.py --datasets MNIST"):
        load(tmp_path / "MNIST")


def test_the_fast_layout_is_preferred_to_the_older_one_beside_it(tmp_path):
    images, codes = samples()
    write_grouped(tmp_path / "CATS", images, codes, [str(i) for i in range(12)])
    assert load(tmp_path / "CATS").path.name == "data.hy"
    write_flat(tmp_path / "CATS", images, codes)
    assert load(tmp_path / "CATS").path.name == "data.hdf5"


@pytest.mark.parametrize(("change", "same"), [("nothing", True), ("pixel", False), ("order", False), ("shape", False)])
def test_the_fingerprint_depends_on_the_images_and_their_order(tmp_path, change, same):
    images, codes = samples()
    write_flat(tmp_path / "a", images, codes)
    other = images.copy()
    if change == "pixel":
        other[7, 3, 2, 1] ^= 1
    elif change == "order":
        other = other[::-1]
    elif change == "shape":
        other = other.reshape(12, 4, 5, 3)
    write_flat(tmp_path / "b", other, codes * 0.5)
    assert (load(tmp_path / "a").fingerprint == load(tmp_path / "b").fingerprint) is same


def test_both_layouts_have_the_same_fingerprint(tmp_path):
    images, codes = samples()
    write_flat(tmp_path / "a", images, codes)
    write_grouped(tmp_path / "b", images, codes, [f"{i:02}" for i in range(12)])
    assert load(tmp_path / "a").fingerprint == load(tmp_path / "b").fingerprint


def test_max_samples_is_a_seeded_choice_of_the_training_rows(tmp_path):
    write_flat(tmp_path / "CATS", *samples(), split=SPLIT)
    all_train_rows = set(np.flatnonzero(SPLIT == 0))
    four, five = (load(tmp_path / "CATS", max_samples=n) for n in (4, 5))
    assert len(four.train_rows) == 4
    assert set(four.train_rows) < set(five.train_rows) < all_train_rows  # a larger choice contains a smaller one
    assert (np.diff(five.train_rows) > 0).all()
    np.testing.assert_array_equal(four.test_rows, [1, 4, 8])
    assert len(four.images) == 12
    np.testing.assert_array_equal(four.train_rows, load(tmp_path / "CATS", max_samples=4).train_rows)
    assert any(
        set(load(tmp_path / "CATS", seed=s, max_samples=4).train_rows) != set(four.train_rows) for s in (1, 2, 3)
    )
    assert set(load(tmp_path / "CATS", max_samples=1000).train_rows) == all_train_rows


def test_a_file_without_training_rows(tmp_path):
    write_flat(tmp_path / "CATS", *samples(), split=np.ones(12, np.uint8))
    with pytest.raises(UserError, match="no training images"):
        load(tmp_path / "CATS")


def test_the_description_of_a_dataset(tmp_path):
    write_flat(tmp_path / "CATS", *samples(), split=SPLIT)
    assert "9 train and 3 held-out images 5x4x3, codes of 3" in str(load(tmp_path / "CATS"))


# --- from the file ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["uint8", "float"])
def test_images_above_the_memory_limit_stay_in_the_file(tmp_path, kind):
    images, codes = samples()
    values = images if kind == "uint8" else images / 255.0
    write_flat(tmp_path / "CATS", values, codes.astype(np.float64), split=SPLIT, ids=[f"cat {i}" for i in range(12)])
    limits = (str(images.size), str(images.size - 1))
    in_memory, lazy = (load(tmp_path / "CATS", memory_limit=limit) for limit in limits)
    assert isinstance(in_memory.images, np.ndarray)
    assert isinstance(lazy.images, LazyArray)
    assert isinstance(lazy.codes, LazyArray)
    assert (lazy.image_shape, lazy.dimension, lazy.fingerprint) == ((5, 4, 3), 3, in_memory.fingerprint)
    for name in ("train_images", "train_codes"):
        np.testing.assert_array_equal(getattr(lazy, name)[:], getattr(in_memory, name)[:])
    np.testing.assert_array_equal(lazy.images[lazy.test_rows], images[[1, 4, 8]])


def test_files_above_the_memory_limit_are_checked_as_well(tmp_path):
    images, codes = samples()
    write_flat(tmp_path / "CATS", images, np.where(np.arange(12) == 7, np.nan, 0.1)[:, None])
    with pytest.raises(UserError, match="the code of row 7 is not finite"):
        load(tmp_path / "CATS", memory_limit="0")
    write_flat(tmp_path / "DOGS", images, codes, ids=["a", "b"])
    with pytest.raises(UserError, match=r"id\.txt lists 2 ids and data\.hdf5 holds 12 images"):
        load(tmp_path / "DOGS", memory_limit="0")
    write_grouped(tmp_path / "OLD", images, codes, [str(i) for i in range(12)])
    with pytest.raises(UserError, match=rf"exceed --memory_limit.* python download\.py --convert {tmp_path}/OLD"):
        load(tmp_path / "OLD", memory_limit="500")


def test_more_rows_than_fit_into_memory_are_refused_at_once(tmp_path):
    (tmp_path / "CATS").mkdir()
    with h5py.File(tmp_path / "CATS" / "data.hdf5", "w") as file:  # a small file that declares 10^12 images
        file.create_dataset("image", (10**12, 2, 2, 1), np.uint8, chunks=(10**6, 2, 2, 1))
        file.create_dataset("code", (10**12, 4), np.float32, chunks=(10**6, 4))
    with pytest.raises(UserError, match=r"declares 4000\.0 GB, of which the file stores 0\.0 GB"):
        load(tmp_path / "CATS")


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("65536", 65536), ("1.5K", 1536), ("500M", 500 << 20), ("4G", 4 << 30), ("2T", 2 << 40)],
)
def test_sizes(text, size):
    assert memory.parse_size(text) == size


# --- split --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n", "fraction", "held_out"),
    [(1000, 0.1, 100), (15, 0.1, 2), (3, 0.1, 1), (2, 0.9, 1), (1, 0.5, 0), (10, 0, 0), (10, 0.9, 9)],
)
def test_split_sizes(n, fraction, held_out):
    split = seeded_split(n, fraction, seed=0)
    assert (split.dtype, len(split), split.sum()) == (np.uint8, n, held_out)


def test_the_split_is_random_and_seeded():
    split = seeded_split(10_000, 0.1, seed=0)
    np.testing.assert_allclose(split.reshape(10, 1000).sum(axis=1), 100, atol=50)  # five standard deviations
    np.testing.assert_array_equal(split, seeded_split(10_000, 0.1, seed=0))
    other = seeded_split(10_000, 0.1, seed=1)
    assert int((split & other).sum()) == pytest.approx(100, abs=50)  # independent of the first
