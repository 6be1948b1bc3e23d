"""Images along paths: ends, spacing, and many paths at once, with decoders of known formulas."""

import numpy as np
import pytest

from glo.inference import paths


class Decoder:
    """Decodes codes [n, d] by a formula into images uint8 [n, d, 1, 1]."""

    def __init__(self, formula):
        self.formula = formula

    def images(self, codes, conditions=None):
        return np.rint(255 * self.formula(codes)).astype(np.uint8)[:, :, None, None]


IDENTITY = Decoder(lambda codes: codes)
CUBIC = Decoder(lambda codes: codes**3)  # slow at first, then fast


def steps(images):
    """Distances of successive images, [p, m - 1]."""
    pixels = images.reshape(*images.shape[:2], -1).astype(float)
    return np.linalg.norm(np.diff(pixels, axis=1), axis=2)


def test_a_path_through_the_graph_has_even_speed_in_image_space():
    learned = np.linspace(0, 1, 200, dtype=np.float32)[:, None]
    a, b = learned[[0]], learned[[-1]]
    codes, images = paths.interpolate(CUBIC, "graph", learned, a, b, 6)
    np.testing.assert_allclose(codes[0, :, 0], np.linspace(0, 1, 6) ** (1 / 3), atol=0.02)
    np.testing.assert_allclose(steps(images), 51, atol=2)
    assert steps(paths.interpolate(CUBIC, "line", learned, a, b, 6)[1]).max() > 100


def test_even_speed_is_that_between_images_also_on_a_curve():
    """Two sides of a square: the images on the sides are equally far apart, across the corner too."""
    side = np.linspace(0, 1, 100, dtype=np.float32)
    zero = np.zeros_like(side)
    learned = np.concatenate([np.stack([side, zero], axis=1), np.stack([zero + 1, side], axis=1)])
    _, images = paths.interpolate(IDENTITY, "graph", learned, learned[[0]], learned[[-1]], 6)
    between = steps(images)
    assert between.max() < 1.1 * between.min()


@pytest.mark.parametrize("path", paths.PATHS)
def test_many_paths_keep_their_order_and_their_ends(path):
    random = np.random.default_rng(0)
    learned = random.uniform(0, 1, (90, 3)).astype(np.float32)
    a, b = learned[:40], learned[40:80]
    codes, images = paths.interpolate(IDENTITY, path, learned, a, b, 4)
    assert codes.shape == (40, 4, 3)
    assert codes.dtype == np.float32
    np.testing.assert_allclose(codes[:, 0], a, atol=1e-6)
    np.testing.assert_allclose(codes[:, -1], b, atol=1e-6)
    np.testing.assert_array_equal(images.reshape(-1, 3), IDENTITY.images(codes.reshape(-1, 3))[..., 0, 0])


@pytest.mark.parametrize("path", paths.PATHS)
def test_a_path_between_equal_codes_stays_there(path):
    learned = np.random.default_rng(0).uniform(0, 1, (30, 3)).astype(np.float32)
    codes, _ = paths.interpolate(IDENTITY, path, learned, learned[:1], learned[:1], 5)
    np.testing.assert_allclose(codes[0], np.tile(learned[0], (5, 1)), atol=1e-6)


def test_images_that_do_not_change_have_finite_positions():
    constant = Decoder(np.zeros_like)
    learned = np.linspace(0, 1, 40, dtype=np.float32)[:, None]
    codes, _ = paths.interpolate(constant, "graph", learned, learned[[0]], learned[[-1]], 5)
    assert np.isfinite(codes).all()
    np.testing.assert_array_equal(codes[0, [0, -1], 0], [0, 1])
