"""The older layout: one group per id, and id.txt."""

import logging

import h5py
import numpy as np
import pytest

from glo.data.dataset import read_dataset
from glo.runtime.errors import UserError
from tests.support import samples, write_grouped, write_ids

N = 6
IDS = ["zebra", "a cat", "10", "9", "日本", "image"]  # an id may have the name of an array of the fast layout


def read(path):
    return read_dataset(path)[0]


def fails(path, *words):
    with pytest.raises(UserError) as caught:
        read(path)
    for word in words:
        assert str(word) in str(caught.value)


@pytest.mark.parametrize("name", ["data.hy", "data.hdf5"])
def test_samples_are_in_the_order_of_id_txt(tmp_path, name):
    images, codes = samples(N)
    block = read(write_grouped(tmp_path / "CATS", images, codes, IDS, name=name))
    np.testing.assert_array_equal(block.images, images)
    np.testing.assert_array_equal(block.codes, codes)
    assert (block.images.dtype, block.codes.dtype) == (np.uint8, np.float32)
    assert block.ids == IDS
    assert block.split is None
    assert block.labels is None


def test_grey_images_without_channels(tmp_path):
    images, codes = samples(N, shape=(5, 4))
    np.testing.assert_array_equal(read(write_grouped(tmp_path / "CATS", images, codes, IDS)).images, images[..., None])


@pytest.mark.parametrize(("scale", "offset", "words"), [(255, 0, "float in [0, 1]"), (127.5, 1, "float in [-1, 1]")])
def test_floating_point_images(tmp_path, caplog, scale, offset, words):
    images, codes = samples(N)
    images[1:] = np.maximum(images[1:], 130)
    images[0, 0, 0, 0] = 0  # a single dark pixel distinguishes the two ranges
    with caplog.at_level(logging.INFO, "glo"):
        block = read(write_grouped(tmp_path / "CATS", (images / scale - offset).astype(np.float32), codes, IDS))
    np.testing.assert_array_equal(block.images, images)
    assert f"images are {words}" in caplog.text


def test_codes_of_another_dtype(tmp_path):
    images, _ = samples(N)
    codes = np.arange(2 * N).reshape(N, 2)
    np.testing.assert_array_equal(read(write_grouped(tmp_path / "CATS", images, codes, IDS)).codes, codes)


@pytest.mark.parametrize(
    ("ids", "words"),
    [
        ([*IDS, "ghost"], ["id.txt lists 1 ids that are not in data.hy", "'ghost'"]),
        ([*IDS[:-1], "../10"], ["id.txt lists 1 ids that are not in data.hy", "'../10'"]),
        ([*IDS[:-1], "zebra/image"], ["id.txt lists 1 ids that are not in data.hy", "'zebra/image'"]),
        (IDS[:3], ["data.hy holds 3 ids that id.txt does not list", "'9'"]),
        ([*IDS, "9"], ["id.txt lists '9' 2 times"]),
        ([], ["id.txt lists no ids"]),
        (["", " "], ["id.txt lists no ids"]),
    ],
)
def test_ids_that_do_not_match_the_file(tmp_path, ids, words):
    path = write_grouped(tmp_path / "CATS", *samples(N), IDS)
    write_ids(path.parent, ids)
    fails(path, *words)


def test_no_id_txt(tmp_path):
    path = write_grouped(tmp_path / "CATS", *samples(N), IDS)
    (path.parent / "id.txt").unlink()
    fails(path, f"no {path.parent / 'id.txt'}", "one per line")


def test_zero_images(tmp_path):
    fails(write_grouped(tmp_path / "CATS", [], [], []), "holds no images")


@pytest.mark.parametrize(
    ("name", "values", "words"),
    [
        ("image", np.zeros((5, 5, 3), np.uint8), ["image of 'zebra' is [5, 5, 3] and that of 'a cat' [5, 4, 3]"]),
        ("image", np.zeros((5, 4, 1), np.uint8), ["[5, 4, 1]", "all must agree"]),
        ("image", np.zeros((5, 4, 4), np.uint8), ["[h, w, 1 or 3], not [5, 4, 4]"]),
        ("image", np.zeros((5, 4, 3, 1), np.uint8), ["not [5, 4, 3, 1]"]),
        ("image", np.zeros((5, 0, 3), np.uint8), ["not [5, 0, 3]"]),
        ("image", np.uint8(1), ["not []"]),
        ("image", np.zeros((5, 4, 3), np.int32), ["pixels are int32"]),
        ("image", np.full((5, 4, 3), np.nan), ["image of 'zebra'", "NaN"]),
        ("image", np.full((5, 4, 3), 3.0), ["from 3 to 3"]),
        ("code", np.zeros(4, np.float32), ["code of 'zebra' is [4] and that of 'a cat' [3]"]),
        ("code", np.zeros(0, np.float32), ["must be [d], not [0]"]),
        ("code", np.zeros((1, 3), np.float32), ["must be [d], not [1, 3]"]),
        ("code", np.float32(1), ["must be [d], not []"]),
        ("code", np.array([0, np.nan, 0]), ["code of row 1 (id 'zebra') is not finite"]),
        ("code", np.array([0, 1e300, 0]), ["code of row 1 (id 'zebra') is not finite"]),
        ("code", None, ["'zebra' has no 'code'"]),
        ("image", None, ["'zebra' has no 'image'"]),
    ],
)
@pytest.mark.filterwarnings("error")
def test_an_invalid_sample(tmp_path, name, values, words):
    ids = ["a cat", "zebra", "10", "9", "日本", "image"]
    path = write_grouped(tmp_path / "CATS", *samples(N), ids)
    with h5py.File(path, "a") as file:
        del file["zebra"][name]
        if values is not None:
            file["zebra"][name] = values
    fails(path, path, *words)


def test_an_array_in_place_of_a_group(tmp_path):
    path = write_grouped(tmp_path / "CATS", *samples(N), IDS)
    with h5py.File(path, "a") as file:
        del file["9"]
        file["9"] = np.zeros((5, 4, 3), np.uint8)
    fails(path, "'9' must be a group with 'image' and 'code'")


def test_a_flipped_bit_causes_wrong_pixels_or_an_error(tmp_path):
    """This layout has no checksums, so that changed pixels cannot be detected. Nothing else may go wrong."""
    path = write_grouped(tmp_path / "CATS", *samples(N), IDS)
    content = path.read_bytes()
    random = np.random.default_rng(0)
    refused = 0
    for place, bit in zip(random.integers(len(content), size=400), random.integers(8, size=400), strict=True):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1 << bit]) + content[place + 1 :])
        try:
            block = read(path)
        except UserError:
            refused += 1
        else:
            assert block.images.dtype == np.uint8
            assert len(block.images) == len(block.codes) == N
            assert np.isfinite(block.codes).all()
    assert refused > 10
