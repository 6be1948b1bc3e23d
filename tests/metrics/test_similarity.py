"""Structural similarity at one and at several scales."""

import numpy as np
import pytest
import tensorflow as tf

from glo.metrics.similarity import WEIGHTS, scales, similarities
from tests.support import samples


def test_number_of_scales():
    assert [scales(side, 500) for side in (8, 20, 21, 40, 41, 80, 81, 160, 161)] == [1, 1, 2, 2, 3, 3, 4, 4, 5]
    assert scales(500, 28) == 2


def test_small_images_have_one_scale():
    images, _ = samples(3, (8, 9, 1))
    values = similarities(images, images)
    assert list(values) == ["ssim"]
    np.testing.assert_allclose(values["ssim"], 1, atol=1e-6)


@pytest.mark.parametrize(("shape", "count"), [((29, 31, 3), 2), ((64, 64, 1), 3), ((161, 163, 1), 5)])
def test_multiscale_similarity_against_tensorflow(shape, count):
    random = np.random.default_rng(0)
    smooth = random.integers(0, 256, (2, 4, 4, shape[2]))
    images = tf.image.resize(smooth, shape[:2]).numpy().astype(np.uint8)
    noisy = np.clip(images + random.normal(0, 20, images.shape), 0, 255).astype(np.uint8)
    values = similarities(images, noisy)
    assert list(values) == ["ssim", f"ms_ssim_{count}"]
    np.testing.assert_allclose(values["ssim"], tf.image.ssim(images, noisy, 255), atol=1e-4)
    if count == 5:
        np.testing.assert_allclose(values["ms_ssim_5"], tf.image.ssim_multiscale(images, noisy, 255), atol=1e-4)
    assert (values[f"ms_ssim_{count}"] > values["ssim"]).all()  # coarser scales average out the noise
    assert sum(WEIGHTS) == pytest.approx(1, abs=1e-3)
    np.testing.assert_allclose(similarities(images, images)[f"ms_ssim_{count}"], 1, atol=1e-4)
