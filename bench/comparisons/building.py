"""Building a dataset of 20,000 images of 28x28, compared with h5py and scikit-learn's PCA alone."""

import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import h5py
import numpy as np

from bench.comparison import Comparison, Contender, Figures, Setup
from bench.inputs import random_data
from bench.timing import Range, Row, rate, ratio
from glo.building.build import build
from glo.data.block import Block
from glo.settings import BuildSettings


def _rates(setup: Setup, write: Callable[[np.ndarray, int, Path], None]) -> Figures:
    images, _ = random_data(setup.images(20_000), (28, 28, 1), 1)

    def build_once() -> None:
        with tempfile.TemporaryDirectory() as folder:
            write(images, min(64, len(images) // 2), Path(folder))

    while True:
        yield rate(build_once, len(images))


def _whole_build(images: np.ndarray, dimension: int, folder: Path) -> None:
    build(folder, "random", "random", lambda _: [Block(images)], BuildSettings(dimension=dimension))


def _h5py_and_pca(images: np.ndarray, dimension: int, folder: Path) -> None:
    from sklearn.decomposition import PCA

    pixels = images.reshape(len(images), -1).astype(np.float32) / 255
    codes = PCA(dimension, random_state=0).fit(pixels).transform(pixels)
    with h5py.File(folder / "data.hdf5", "w") as file:
        file["image"], file["code"] = images, codes


def _rows(figures: dict[str, list[float]]) -> Iterator[Row]:
    yield Row("whole build", Range.of(figures["whole build"]), "images/s")
    yield Row("whole build / h5py and PCA alone", ratio(figures["whole build"], figures["h5py and PCA"]), "x")


CONTENDERS = {
    "whole build": Contender(partial(_rates, write=_whole_build), library=None),
    "h5py and PCA": Contender(partial(_rates, write=_h5py_and_pca), library=None),
}
COMPARISON = Comparison("building a dataset from an array", CONTENDERS, _rows)
