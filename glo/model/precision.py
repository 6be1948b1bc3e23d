"""The floating-point type of the generator in training: float32, or bfloat16 where that is faster.

Only the hidden maps and their products are bfloat16. Weights, codes, statistics, images, losses, gradients of codes and
the state of both optimizers stay float32, as does everything outside the training step.
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

Inputs = tf.Tensor | list[tf.Tensor]  # codes, or codes and conditions

POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}
# Layers that compute a hidden map or change its shape. All others compute in float32: normalisation, the last
# activation, and FiLM, whose 1 + gain would be rounded to 8 bits.
MAP_LAYERS = (Projection, Deconvolution, Convolution, layers.Reshape, layers.UpSampling2D)
GAIN = 1.1  # `auto` chooses bfloat16 if it is faster by this factor; smaller differences may be noise of the timing
SECONDS, ROUNDS = 1.0, 15  # the timing stops at whichever limit is reached first


@contextmanager
def computing_in(model: keras.Model, precision: str) -> Iterator[None]:
    """Context in which calls of a generator compute hidden maps in `precision` (`float32` or `bfloat16`).

    A function compiled within the context keeps its precision outside it.
    """
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
    activates_map = isinstance(layer, layers.LeakyReLU) and len(layer.output.shape) == 4  # rank 2: FiLM's hidden layer
    return activates_map or isinstance(layer, MAP_LAYERS)


def decide(
    settings: TrainSettings,
    image_shape: tuple[int, int, int],
    dimension: int,
    n: int,
    condition_size: int = 0,
    once: Callable[[str, Callable[[], str]], str] = lambda _, choose: choose(),
) -> TrainSettings:
    """Return the settings with a precision of `auto` replaced by the faster type on this device.

    The result is saved with the run, so that a resumed run computes in the same type.
    image_shape: (H, W, C). dimension: d. n: number of training images, which bounds the batch. condition_size: k. once:
    calls a function in one of several workers, and returns its result in all.
    """
    native = device.has_bfloat16()
    if settings.precision == "bfloat16" and not native:
        logger.warning("--precision bfloat16: this device has no instructions for it and emulates them, slowly")
    if settings.precision != "auto":
        return settings

    def choose() -> str:
        chosen = "float32"
        if native:
            logger.info("precision auto: compiling the generator in float32 and bfloat16 to time both ...")
            speed = measure(settings, image_shape, dimension, min(settings.batch_size, n), condition_size)
            if speed["bfloat16"] > GAIN * speed["float32"]:
                chosen = "bfloat16"
            reason = ", ".join(f"{name} passes {rate:.0f} images/s" for name, rate in speed.items())
        else:
            reason = "this device has no instructions for bfloat16"
        logger.info("precision auto: %s (%s)", chosen, reason)
        return chosen

    return dataclasses.replace(settings, precision=once("precision", choose))


def measure(
    settings: TrainSettings, image_shape: tuple[int, int, int], dimension: int, batch_size: int, condition_size: int = 0
) -> dict[str, float]:
    """Time forward and backward passes of a newly built generator; returns images per second by precision."""
    model, random = generator.build(image_shape, dimension, settings, condition_size), np.random.default_rng(0)
    widths = tf.nest.map_structure(lambda tensor: tensor.shape[1], model.input)
    inputs = tf.nest.map_structure(
        lambda width: tf.constant(random.standard_normal((batch_size, width)), tf.float32), widths
    )
    passes = {name: _training_pass(model, name) for name in POLICIES}
    for training_pass in passes.values():
        training_pass(inputs)  # compiles it
    seconds: dict[str, list[float]] = {name: [] for name in passes}
    start = time.perf_counter()
    for _ in range(ROUNDS):
        for name, training_pass in passes.items():  # in turn, so that other load on the machine slows both alike
            before = time.perf_counter()
            training_pass(inputs).numpy()
            seconds[name].append(time.perf_counter() - before)
        if time.perf_counter() - start > SECONDS:
            break
    return {name: batch_size / min(times) for name, times in seconds.items()}


def _training_pass(model: keras.Model, precision: str) -> Callable[[Inputs], tf.Tensor]:
    """Compile a pass from inputs float32 [B, .] to a scalar that depends on the gradients of all weights and inputs."""

    @tf.function
    def training_pass(inputs: Inputs) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            with computing_in(model, precision):
                total = tf.reduce_mean(tf.abs(model(inputs, training=True)))
        sources = [*model.trainable_variables, *tf.nest.flatten(inputs)]
        return tf.add_n([tf.reduce_sum(gradient) for gradient in tape.gradient(total, sources)])

    return training_pass
