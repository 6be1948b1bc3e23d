"""PSNR of PCA against scikit-learn."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

from glo.metrics.linear import pca_psnr
from tests.support import samples


@pytest.mark.parametrize("dimension", [3, 500])
def test_pca_against_scikit_learn(dimension, monkeypatch):
    monkeypatch.setattr("glo.metrics.linear.BLOCK", 16)
    images, _ = samples(70, (4, 3, 1))
    train, test = images[:50], images[50:]
    measured = pca_psnr(train, {"train": train, "test": test}, dimension, 0)
    pca = PCA(min(dimension, 12), svd_solver="full").fit(train.reshape(50, -1) / 255)
    for name, part in (("train", train), ("test", test)):
        pixels = part.reshape(len(part), -1) / 255
        projected = np.clip(pca.inverse_transform(pca.transform(pixels)), 0, 1)
        expected = -10 * np.log10(max(np.square(projected - pixels).mean(), 1e-10))
        assert measured[name] == pytest.approx(expected, abs=0.05)
