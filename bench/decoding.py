"""Building a dataset from a folder of JPEGs, against Pillow doing nothing but decode and resize."""

import os
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from bench.timing import Range, Row, in_turn, rate, ratio
from datasets import folder as pictures
from datasets.picture import REDUCE
from glo.building import build
from glo.settings import BuildSettings

SIDE = 64
CORES = os.cpu_count() or 1


def write(folder: Path, n: int, height: int, width: int) -> list[Path]:
    """`n` JPEGs of coloured clouds, no two alike: about as many bytes a pixel as photographs have."""
    random = np.random.default_rng(0)
    noise = [gaussian_filter(random.standard_normal((2 * height, 2 * width, 3)), (s, s, 0)) * 3 * s for s in (1, 9)]
    cloud = np.clip(sum(noise) * 10 + 128, 0, 255).astype(np.uint8)
    paths = [folder / f"{number:06d}.jpg" for number in range(n)]
    for path in paths:
        top, left = random.integers(0, (height, width))
        Image.fromarray(cloud[top : top + height, left : left + width]).save(path, quality=90)
    return paths


def bare(path: Path) -> None:
    """What any program must do, and no more: open, decode no more of a JPEG than we do, crop and resize as we do."""
    with Image.open(path) as image:
        image.draft(None, (REDUCE * SIDE, REDUCE * SIDE))
        side = min(image.size)
        left, top = (image.width - side) / 2, (image.height - side) / 2
        image.resize((SIDE, SIDE), Image.Resampling.LANCZOS, (left, top, left + side, top + side))


def decoding(rounds: int, data_dir: str) -> Iterator[Row]:
    """Building from JPEGs of 178x218 and of 1000x1500 against threads, and processes, of Pillow alone."""
    settings = BuildSettings(distribution="Gaussian", dimension=64, size=str(SIDE))
    for n, height, width in ((12000, 218, 178), (400, 1000, 1500)):
        with (
            tempfile.TemporaryDirectory() as place,
            ThreadPoolExecutor(CORES) as threads,
            ProcessPoolExecutor(CORES, get_context("spawn")) as processes,
        ):
            contenders = _contenders(Path(place), n, height, width, settings, threads, processes)
            found = in_turn(contenders, rounds)
        for name, rates in found.items():
            yield Row(f"{width}x{height} JPEGs, {name}", Range.of(rates), "images/s")
        fastest = max(("threads", "processes"), key=lambda name: Range.of(found[f"Pillow alone, {name}"]).median)
        share = ratio(found["whole build"], found[f"Pillow alone, {fastest}"])
        yield Row(f"{width}x{height} JPEGs, build / Pillow alone, {fastest}", share, "x", "0.85")


def _contenders(
    place: Path, n: int, height: int, width: int, settings: BuildSettings, threads: Executor, processes: Executor
) -> dict[str, Callable[[], float]]:
    photos = place / "photos"
    photos.mkdir()
    paths = write(photos, n, height, width)

    def whole() -> None:
        found = pictures.collection(photos, (SIDE, SIDE))
        build.build(place / "built", "x", "x", found.blocks, settings)

    def alone(pool: Executor) -> Callable[[], None]:
        return lambda: sum(1 for _ in pool.map(bare, paths, chunksize=16))

    return {
        "whole build": lambda: rate(whole, n),
        "Pillow alone, threads": lambda: rate(lambda: _threads(threads, paths), n),
        "Pillow alone, processes": lambda: rate(alone(processes), n),
    }


def _threads(pool: Executor, paths: list[Path]) -> None:
    """Each thread takes every so-many-th picture: threads have no chunks, and a task for each picture costs."""

    def share(start: int) -> None:
        for path in paths[start::CORES]:
            bare(path)

    list(pool.map(share, range(CORES)))
