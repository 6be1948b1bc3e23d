"""The speed of the training step, compared with PyTorch, between options, and with the peak of the processor."""

import dataclasses
from collections.abc import Iterator
from functools import partial
from typing import Any

from bench.comparison import Comparison, Contender, Figures, Setup
from bench.inputs import random_data
from bench.timing import Range, Row, ratio
from glo.runtime import device
from glo.settings import TrainSettings

# A DCGAN for 32x32x1: 4x4x256, then 128, 64 and 1 channels.
DCGAN = TrainSettings(
    channels=64,
    generator_optimizer="sgd",
    learning_rate=1.0,
    code_optimizer="sgd",
    alpha=1.0,
    schedule="constant",
    precision="float32",
)
IMAGES, SHAPE, DIMENSION, STEPS = 20_000, (32, 32, 1), 100, 20
MATRIX = 2048  # rows and columns


def _steps(setup: Setup, **changes: Any) -> Figures:
    from bench.steps import step_rates

    images, codes = random_data(setup.images(IMAGES), SHAPE, DIMENSION)
    settings = setup.settings(dataclasses.replace(DCGAN, **changes))
    return step_rates(images, codes, settings, setup.steps(STEPS))


def _pytorch_steps(setup: Setup, channels_last: bool) -> Figures:
    from bench.torch_glo import Loop, step_rates

    images, codes = random_data(setup.images(IMAGES), SHAPE, DIMENSION)
    loop = Loop(images, codes, DCGAN.channels, DCGAN.learning_rate, DCGAN.alpha, channels_last)
    return step_rates(loop, DCGAN.batch_size, setup.steps(STEPS))


def _peak(setup: Setup, dtype: str) -> Figures:
    from bench.peak import matrix_rates

    return matrix_rates(dtype, 128 if setup.tiny else MATRIX)


PYTORCH = {
    "PyTorch": Contender(partial(_pytorch_steps, channels_last=False), library="torch"),
    "PyTorch, channels last": Contender(partial(_pytorch_steps, channels_last=True), library="torch"),
}
STEP = {
    "float32": Contender(_steps),
    "no oneDNN": Contender(_steps, environment={device.ONEDNN: "0"}),
    "alternate": Contender(partial(_steps, update="alternate")),
    "bfloat16": Contender(partial(_steps, precision="bfloat16")),
    "XLA": Contender(partial(_steps, jit="on")),
    **PYTORCH,
}
PEAK = {f"peak {dtype}": Contender(partial(_peak, dtype=dtype)) for dtype in ("float32", "bfloat16")}


def _rows(figures: dict[str, list[float]]) -> Iterator[Row]:
    from bench.peak import flops

    float32, bfloat16 = figures["float32"], figures["bfloat16"]
    for name in STEP:
        if name in figures:
            yield Row(f"step, {name}", Range.of(figures[name]), "images/s")
    for name in PYTORCH:
        if name in figures:
            yield Row(f"float32 / {name}", ratio(float32, figures[name]), "x", "1.2")
            yield Row(f"bfloat16 / {name}", ratio(bfloat16, figures[name]), "x", "1.5")
    yield Row("bfloat16 / float32", ratio(bfloat16, float32), "x")
    yield Row("oneDNN / no oneDNN", ratio(float32, figures["no oneDNN"]), "x")
    yield Row("alternate / joint", ratio(figures["alternate"], float32), "x", "0.55")
    yield Row("XLA / no XLA", ratio(figures["XLA"], float32), "x")
    operations = flops(DCGAN, SHAPE, DIMENSION)
    for name, target in (("float32", "0.6"), ("bfloat16", "")):
        peak = figures[f"peak {name}"]
        yield Row(f"matrix peak, {name}", Range.of([figure / 1e9 for figure in peak]), "GFLOP/s")
        used = [operations * figure for figure in figures[name]]
        yield Row(f"share of the peak, {name}", ratio(used, peak), "x", target)


COMPARISON = Comparison("the training step, against PyTorch and the peak of the processor", STEP | PEAK, _rows)
