"""Reconstruction quality and decoding, which must not depend on the batch size."""

import numpy as np
import pytest

from glo.inference.decoder import Decoder
from glo.inference.psnr import psnr
from glo.model.glo_model import GloModel
from glo.model.losses import build as build_loss
from glo.settings import TrainSettings
from tests.support import samples


@pytest.mark.parametrize("batch_size", [1, 7, 100])
def test_every_image_counts_once(batch_size):
    images, codes = samples(15, (6, 5, 3), 4)
    model = GloModel((6, 5, 3), codes, TrainSettings(channels=4))
    result = Decoder(model, batch_size).measure(codes, images, build_loss("mse")).result()
    difference = (np.asarray(model.decode(codes)).astype(float) + 1) / 2 - images / 255
    assert result["n"] == 15
    assert result["psnr"] == pytest.approx(-10 * np.log10(np.mean(difference**2)), abs=1e-4)
    each = -10 * np.log10(np.mean(difference**2, axis=(1, 2, 3)))
    assert result["psnr_image_mean"] == pytest.approx(each.mean(), abs=1e-4)
    assert result["psnr_image_mean"] > result["psnr"]
    assert result["l1"] == pytest.approx(np.abs(difference).mean(), rel=1e-5)
    assert result["loss"] == pytest.approx(4 * np.mean(difference**2), rel=1e-4)  # pixels in [-1, 1]


def test_decoded_images_are_rounded_to_the_nearest_level():
    _, codes = samples(9, (6, 5, 3), 4)
    model = GloModel((6, 5, 3), codes, TrainSettings(channels=4))
    expected = np.round((np.asarray(model.decode(codes)) + 1) * 127.5)
    np.testing.assert_array_equal(Decoder(model, 4).images(codes), expected.astype(np.uint8))


def test_psnr_by_hand():
    assert psnr(0.01) == pytest.approx(20)
    assert psnr(0) == 100
