"""Which numbers the generator computes in while it is trained: float32, or bfloat16 where that is faster.

In bfloat16 only the hidden maps and their products are: weights, codes, statistics, images, losses, gradients of codes
and the state of both optimizers stay float32, and so does everything outside the training step.
"""

import dataclasses
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from glo.model import generator
from glo.model.deconv import Convolution, Deconvolution
from glo.model.generator import Projection
from glo.runtime import device
from glo.runtime.log import logger
from glo.settings import TrainSettings

POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}
# Layers that make a hidden map, or pass one on. All others compute in float32: normalisation, the last activation, and
# FiLM, whose 1 + gain would be rounded to 8 bits.
MAP_LAYERS = (Projection, Deconvolution, Convolution, layers.Reshape, layers.UpSampling2D)
GAIN = 1.1  # what `auto` asks for: below it, noise of the timing would decide
SECONDS, ROUNDS = 1.0, 15  # the timing ends with the first of the two


@contextmanager
def computing_in(model: keras.Model, precision: str) -> Iterator[None]:
    """Within it, calls of a generator compute hidden maps in `precision`. A compiled function keeps what it met."""
    switched = [layer for layer in model.layers if _makes_hidden_map(layer)]
    before = [layer.dtype_policy for layer in switched]
    for layer in switched:
        layer.dtype_policy = POLICIES[precision]
    try:
        yield
    finally:
        for layer, policy in zip(switched, before, strict=True):
            layer.dtype_policy = policy


def _makes_hidden_map(layer: keras.Layer) -> bool:
    on_map = isinstance(layer, layers.LeakyReLU) and len(layer.output.shape) == 4  # FiLM's own has rank 2
    return on_map or isinstance(layer, MAP_LAYERS)


def decide(settings: TrainSettings, image_shape: tuple[int, int, int], dimension: int) -> TrainSettings:
    """The settings with `auto` replaced by what is faster here, so that a resumed run finds what it started with."""
    native = device.has_bfloat16()
    if settings.precision == "bfloat16" and not native:
        logger.warning("--precision bfloat16: this device has no instructions for it and emulates them, slowly")
    if settings.precision != "auto":
        return settings
    chosen = "float32"
    if native:
        speed = measure(settings, image_shape, dimension)
        if speed["bfloat16"] > GAIN * speed["float32"]:
            chosen = "bfloat16"
        reason = ", ".join(f"{name} passes {rate:.0f} images/s" for name, rate in speed.items())
    else:
        reason = "this device has no instructions for bfloat16"
    logger.info("precision auto: %s (%s)", chosen, reason)
    return dataclasses.replace(settings, precision=chosen)


def measure(settings: TrainSettings, image_shape: tuple[int, int, int], dimension: int) -> dict[str, float]:
    """Images/s of the generator, forward and backward, by precision. It is a generator of its own that is timed."""
    model = generator.build(image_shape, dimension, settings)
    codes = tf.constant(np.random.default_rng(0).standard_normal((settings.batch_size, dimension)), tf.float32)
    passes = {name: _training_pass(model, name) for name in POLICIES}
    for both in passes.values():
        both(codes)  # compiles
    seconds: dict[str, list[float]] = {name: [] for name in passes}
    start = time.perf_counter()
    for _ in range(ROUNDS):
        for name, both in passes.items():  # in turn, so that whatever else the machine does slows them alike
            before = time.perf_counter()
            both(codes).numpy()
            seconds[name].append(time.perf_counter() - before)
        if time.perf_counter() - start > SECONDS:
            break
    return {name: settings.batch_size / min(times) for name, times in seconds.items()}


def _training_pass(model: keras.Model, precision: str) -> Callable[[tf.Tensor], tf.Tensor]:
    """Compile codes [B, d] -> a number that depends on the gradients of all weights and codes."""

    @tf.function
    def both(codes: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(codes)
            with computing_in(model, precision):
                total = tf.reduce_mean(tf.abs(model(codes, training=True)))
        return tf.add_n([tf.reduce_sum(g) for g in tape.gradient(total, [*model.trainable_variables, codes])])

    return both
