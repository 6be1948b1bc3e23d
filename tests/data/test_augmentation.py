"""Altered copies of training images: how they are altered, and their initial codes."""

import dataclasses

import numpy as np
import pytest
from scipy.ndimage import affine_transform, gaussian_filter

from glo.building.initial_codes import PCACodes
from glo.data import augmentation
from glo.data.augmentation import Augmented
from glo.data.lazy_array import LazyArray, Rows
from glo.settings import TrainSettings
from tests.support import write_flat

N, COPIES = 20, 3


@pytest.fixture
def images():
    """Smooth images uint8 [20, 18, 14, 3], whose values between pixels do not depend on the interpolation."""
    noise = np.random.default_rng(0).standard_normal((N, 18, 14, 3))
    smooth = gaussian_filter(noise, (0, 2, 2, 0), mode="mirror")
    return np.clip(127 + 250 * smooth, 0, 255).astype(np.uint8)


def augmented(images, augment="move,flip,color,invert", **changes):
    settings = dataclasses.replace(TrainSettings(), **{"augment_to": COPIES * N + 1, "augment": augment, **changes})
    return Augmented(Rows(images, np.arange(len(images))), settings)


def test_originals_come_first_and_copies_are_functions_of_their_row(images):
    rows = augmented(images)
    everything = rows[:]
    assert len(rows) == N * (1 + COPIES)
    assert rows.shape == everything.shape
    np.testing.assert_array_equal(everything[:N], images)
    order = np.random.default_rng(1).permutation(len(rows))
    np.testing.assert_array_equal(rows[order], everything[order])
    np.testing.assert_array_equal(rows.load(order[:7])[2:4], everything[order[2:4]])
    np.testing.assert_array_equal(augmented(images)[:], everything)
    assert (augmented(images, seed=1)[:][N:] != everything[N:]).any(axis=(1, 2, 3)).all()
    copies = everything.reshape(1 + COPIES, N, -1)
    assert all((copies[a] != copies[b]).any(axis=1).all() for a in range(1 + COPIES) for b in range(a))


def test_copies_of_images_in_a_file(images, tmp_path, monkeypatch):
    path = write_flat(tmp_path, images, np.zeros((N, 2), np.float32))
    lazy = LazyArray(path, "image", np.uint8, np.asarray)
    settings = dataclasses.replace(TrainSettings(), augment_to=(1 + COPIES) * 12)
    train_rows = np.arange(3, 15)
    from_file, from_memory = (Augmented(Rows(source, train_rows), settings) for source in (lazy, images))
    monkeypatch.setattr(augmentation, "PART_BYTES", 1)  # one image at a time
    np.testing.assert_array_equal(from_file[:], from_memory[:])


def test_colors_agree_with_the_formula(images):
    rows = augmented(images, "color,invert")
    gain, offset = rows._alterations.gains[:, None, None, None], rows._alterations.offsets[:, None, None]
    assert 0 < (gain < 0).mean() < 1
    x = np.tile(images, (COPIES, 1, 1, 1)).astype(float)
    x = np.where(gain < 0, 255 - x, x)
    mean = x.mean(axis=(1, 2, 3), keepdims=True)
    expected = np.clip(np.abs(gain) * (x - mean) + mean + offset, 0, 255)
    # Resampling from twice the size makes images slightly less sharp.
    assert np.abs(rows[N:] - expected).mean() < 1
    assert np.std(np.log(np.abs(rows._alterations.gains))) == pytest.approx(augmentation.CONTRAST, rel=0.3)


def test_half_of_the_copies_are_inverted(images):
    copies = augmented(images, "invert")[N:].reshape(COPIES, N, *images.shape[1:]).astype(int)
    same, inverted = (np.abs(copies - other).mean(axis=(2, 3, 4)) for other in (images.astype(int), 255 - images))
    assert np.minimum(same, inverted).max() < 2
    assert 0.2 < np.mean(inverted < same) < 0.8


def test_flips(images):
    copies = augmented(images, "flip")[N:].reshape(COPIES, N, *images.shape[1:]).astype(int)
    same, mirrored = (np.abs(copies - other.astype(int)).mean(axis=(2, 3, 4)) for other in (images, images[:, :, ::-1]))
    assert np.minimum(same, mirrored).max() < 2
    assert 0.2 < np.mean(mirrored < same) < 0.8


def test_moves_agree_with_scipy(images):
    rows = augmented(images, "move")
    matrices = rows._alterations.matrices
    for copy, image, matrix in zip(rows[N:], np.tile(images, (COPIES, 1, 1, 1)), matrices, strict=True):
        (xx, xy, x), (yx, yy, y) = matrix[:6].reshape(2, 3) / 2
        linear, offset = np.array([[yy, yx], [xy, xx]]), np.array([y, x]) - 0.25  # rows, then columns
        moved = [
            affine_transform(image[..., c].astype(float), linear, offset, order=3, mode="reflect") for c in range(3)
        ]
        assert np.abs(copy - np.stack(moved, -1)).mean() < 2
        assert np.abs(copy.astype(int) - image).mean() > 2


def test_codes_of_copies_are_principal_components_of_copies():
    """The linear map from pixels to codes is estimated from the images and their codes alone."""
    random = np.random.default_rng(0)
    images = np.clip(127 + 60 * random.standard_normal((300, 5)) @ random.standard_normal((5, 48)), 0, 255)
    images = images.astype(np.uint8).reshape(300, 4, 4, 3)
    pca = PCACodes.fit(images, 3, seed=0)
    codes = (pca(images) / 4).astype(np.float32)
    rows = augmented(images, augment_to=1200)
    all_codes = rows.codes(Rows(codes, np.arange(300)))
    assert all_codes.dtype == np.float32
    np.testing.assert_array_equal(all_codes[:300], codes)
    np.testing.assert_allclose(all_codes, pca(rows[:]) / 4, atol=2e-3)


def test_codes_of_copies_keep_the_spread_of_random_codes(images):
    codes = np.random.default_rng(3).uniform(-0.5, 0.5, (N, 4)).astype(np.float32)
    identical_images = np.full_like(images, 9)
    for originals in (images, identical_images):
        all_codes = augmented(originals, "flip").codes(Rows(codes, np.arange(N)))
        assert np.isfinite(all_codes).all()
    all_codes = augmented(images, "flip").codes(Rows(codes, np.arange(N)))
    np.testing.assert_allclose(all_codes[N:].std(axis=0), codes.std(axis=0), rtol=0.5)


@pytest.mark.parametrize(
    ("n", "augment_to", "copies"), [(10, 0, 0), (10, 10, 0), (10, 11, 1), (10, 30, 2), (40, 30, 0)]
)
def test_copies_are_made_only_for_small_datasets(n, augment_to, copies):
    assert dataclasses.replace(TrainSettings(), augment_to=augment_to).copies(n) == copies
