"""Building a dataset from JPEGs, compared with decoding and resizing them by Pillow alone, in threads or processes."""

import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from bench.comparison import Comparison, Contender, Figures, Setup
from bench.timing import Range, Row, rate, ratio
from datasets import folder as pictures
from datasets.picture import REDUCE
from glo.building.build import build
from glo.settings import BuildSettings

SIDE = 64  # pixels of the images that are made
CORES = os.cpu_count() or 1
SIZES = {(178, 218): 12_000, (1500, 1000): 400}  # (width, height) of the JPEGs: number of JPEGs
SHIFT = 256  # largest shift between the JPEGs of one size, in pixels
PILLOW = ("Pillow alone, threads", "Pillow alone, processes")


def _whole_build(setup: Setup, width: int, height: int) -> Figures:
    photos = _photos(setup, width, height)
    settings = BuildSettings(distribution="Gaussian", dimension=64, size=str(SIDE))

    def build_once() -> None:
        collection = pictures.collection(photos[0].parent, (SIDE, SIDE))
        build(setup.folder / f"built-{width}x{height}", "photos", "photos", collection.blocks, settings)

    while True:
        yield rate(build_once, len(photos))


def _threads(setup: Setup, width: int, height: int) -> Figures:
    photos = _photos(setup, width, height)

    def decode_share(first: int) -> None:
        for path in photos[first::CORES]:
            decode(path)

    with ThreadPoolExecutor(CORES) as pool:
        while True:  # one task per thread: a task per picture would have an overhead
            yield rate(lambda: list(pool.map(decode_share, range(CORES))), len(photos))


def _processes(setup: Setup, width: int, height: int) -> Figures:
    photos = _photos(setup, width, height)
    with ProcessPoolExecutor(CORES, get_context("spawn")) as pool:
        while True:
            yield rate(lambda: list(pool.map(decode, photos, chunksize=16)), len(photos))


def decode(path: Path) -> None:
    """Do the least that any program must do: decode a JPEG at the reduced size that the toolkit uses, crop, resize."""
    with Image.open(path) as image:
        image.draft(None, (REDUCE * SIDE, REDUCE * SIDE))
        side = min(image.size)
        left, top = (image.width - side) / 2, (image.height - side) / 2
        image.resize((SIDE, SIDE), Image.Resampling.LANCZOS, (left, top, left + side, top + side))


def _photos(setup: Setup, width: int, height: int) -> list[Path]:
    """Paths of JPEGs of coloured clouds, all different, with about as many bytes per pixel as photographs have.

    The files are written unless another contender has already written them.
    """
    folder = setup.folder / f"{width}x{height}"
    paths = [folder / f"{number:06d}.jpg" for number in range(setup.images(SIZES[width, height]))]
    if folder.exists():
        return paths
    folder.mkdir()
    random = np.random.default_rng(0)
    noise = random.standard_normal((height + SHIFT, width + SHIFT, 3))
    cloud = sum(3 * sigma * gaussian_filter(noise, (sigma, sigma, 0)) for sigma in (1, 9))
    cloud = np.clip(10 * cloud + 128, 0, 255).astype(np.uint8)
    for path in paths:
        top, left = random.integers(0, SHIFT, 2)
        Image.fromarray(cloud[top : top + height, left : left + width]).save(path, quality=90)
    return paths


def _rows(figures: dict[str, list[float]]) -> Iterator[Row]:
    for width, height in SIZES:
        size = f"{width}x{height}"
        ranges = {name: Range.of(figures[f"{size}, {name}"]) for name in ("whole build", *PILLOW)}
        for name, measured in ranges.items():
            yield Row(f"{size} JPEGs, {name}", measured, "images/s")
        _, fastest = max((ranges[name].median, name) for name in PILLOW)
        share = ratio(figures[f"{size}, whole build"], figures[f"{size}, {fastest}"])
        yield Row(f"{size} JPEGs, whole build / {fastest}", share, "x", "0.85")


CONTENDERS = {
    f"{width}x{height}, {name}": Contender(partial(rates, width=width, height=height), library=None)
    for width, height in SIZES
    for name, rates in zip(("whole build", *PILLOW), (_whole_build, _threads, _processes), strict=True)
}
COMPARISON = Comparison("building a dataset from JPEGs", CONTENDERS, _rows)
