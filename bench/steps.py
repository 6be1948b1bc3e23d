"""What the training step costs: against PyTorch, against the processor's peak, and with the number of images."""

import dataclasses
from collections.abc import Callable, Iterator

import keras
import numpy as np
import tensorflow as tf

from bench.timing import Range, Row, in_turn, rate, ratio
from glo.model.glo_model import GloModel
from glo.settings import TrainSettings
from glo.training.step import make_step

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
BATCH, DIMENSION, SHAPE = 128, 100, (32, 32, 1)


def random_data(n: int, shape: tuple[int, int, int], dimension: int) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 [n, *shape] and codes float32 [n, dimension] on the sphere."""
    random = np.random.default_rng(0)
    codes = random.standard_normal((n, dimension), np.float32)
    return random.integers(0, 256, (n, *shape), np.uint8), codes / np.linalg.norm(codes, axis=1, keepdims=True)


def stepper(images: np.ndarray, codes: np.ndarray, settings: TrainSettings, steps: int) -> Callable[[], float]:
    """A contender: images/s of `steps` steps of the toolkit, the loss read back once, as training does every few."""
    step = make_step(GloModel(images.shape[1:], codes, settings), settings, learned=10**6)
    random = np.random.default_rng(1)

    def run() -> None:
        for _ in range(steps):
            rows = random.choice(len(images), settings.batch_size, replace=False)
            losses = step(rows, images[rows])
        losses.numpy()

    return lambda: rate(run, steps * settings.batch_size)


def flops(settings: TrainSettings, image_shape: tuple[int, int, int], dimension: int) -> int:
    """Floating-point operations that one image costs a joint step: forward, and as many for each of two gradients.

    A multiplication and an addition are two. The dense layer takes 2 d n for n values; an output pixel of a transposed
    convolution by 4x4 kernels and strides of 2 meets 4 of their 16 taps: 2 * 4 * c_in * c_out * H_out * W_out. All
    else (normalisation, activations, loss, updates) is left out.
    """
    model = GloModel(image_shape, np.zeros((1, dimension), np.float32), settings).generator
    total = 0
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dense):
            total += 2 * layer.kernel.shape[0] * layer.kernel.shape[1]
        elif isinstance(layer, keras.layers.Conv2DTranspose):
            _, height, width, out = layer.output.shape
            total += 2 * 4 * layer.input.shape[3] * out * height * width
    return 3 * total


def matrix_peak(dtype: tf.DType) -> Callable[[], float]:
    """A contender: operations/s of a product of two 2048 x 2048 matrices."""
    n = 2048
    a, b = (tf.cast(tf.random.stateless_normal((n, n), (0, seed)), dtype) for seed in (1, 2))
    product = tf.function(tf.matmul)
    return lambda: rate(lambda: product(a, b).numpy(), 2 * n**3, repeats=5)


def speed(rounds: int, data_dir: str) -> Iterator[Row]:
    """The training step, against PyTorch and against the matrix peak."""
    from bench import torch_glo

    images, codes = random_data(20_000, SHAPE, DIMENSION)
    contenders: dict[str, Callable[[], float]] = {}
    for name, changes in {
        "float32": {},
        "bfloat16": {"precision": "bfloat16"},
        "alternate": {"update": "alternate"},
        "XLA": {"jit": "on"},
    }.items():
        contenders[name] = stepper(images, codes, dataclasses.replace(DCGAN, **changes), 20)
    for name, channels_last in (("PyTorch", False), ("PyTorch, channels last", True)):
        twin = torch_glo.Loop(images, codes, DCGAN.channels, DCGAN.learning_rate, DCGAN.alpha, channels_last)
        contenders[name] = _looper(twin.step, len(images), 20)
    contenders |= {"peak float32": matrix_peak(tf.float32), "peak bfloat16": matrix_peak(tf.bfloat16)}
    found = in_turn(contenders, rounds)
    for name in ("float32", "alternate", "bfloat16", "XLA", "PyTorch", "PyTorch, channels last"):
        yield Row(f"step, {name}", Range.of(found[name]), "images/s")
    for name in ("PyTorch", "PyTorch, channels last"):
        yield Row(f"float32 / {name}", ratio(found["float32"], found[name]), "x", "1.2")
        yield Row(f"bfloat16 / {name}", ratio(found["bfloat16"], found[name]), "x", "1.5")
    yield Row("bfloat16 / float32", ratio(found["bfloat16"], found["float32"]), "x")
    yield Row("alternate / joint", ratio(found["alternate"], found["float32"]), "x", "0.55")
    yield Row("XLA / none", ratio(found["XLA"], found["float32"]), "x")
    cost = flops(DCGAN, SHAPE, DIMENSION)
    for name, asked in (("float32", "0.6"), ("bfloat16", "")):
        used, peak = [cost * each for each in found[name]], found[f"peak {name}"]
        yield Row(f"matrix peak, {name}", Range.of([each / 1e9 for each in peak]), "GFLOP/s")
        yield Row(f"share of the peak, {name}", ratio(used, peak), "x", asked)


def _looper(step: Callable[[np.ndarray], None], n: int, steps: int) -> Callable[[], float]:
    random = np.random.default_rng(1)

    def run() -> None:
        for _ in range(steps):
            step(random.choice(n, BATCH, replace=False))

    return lambda: rate(run, steps * BATCH)


def growth(rounds: int, data_dir: str) -> Iterator[Row]:
    """The step at 10^4, 10^5 and 10^6 images of 8x8, d = 64."""
    settings = TrainSettings(channels=16)
    contenders = {str(n): stepper(*random_data(n, (8, 8, 1), 64), settings, 50) for n in (10**4, 10**5, 10**6)}
    found = in_turn(contenders, 12 * rounds)  # short turns: whatever else runs on the machine comes in bursts
    for n in contenders:
        yield Row(f"step, {int(n):,} images", Range.of(found[n]), "images/s")
    for n in ("100000", "1000000"):
        yield Row(f"{int(n):,} / 10,000 images", ratio(found[n], found["10000"]), "x", "0.95 to 1.05")
