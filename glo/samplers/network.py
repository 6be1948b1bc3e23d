"""A small residual network for codes, as plain arrays, and its training: what the samplers that learn one share."""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

# Matrices and biases of: i inputs -> w -> b residual layers -> d outputs. A sampler has these fields, in this order.
SHAPES = {"first": "iw", "first_bias": "w", "inner": "bww", "inner_bias": "bw", "last": "wd", "last_bias": "d"}
BLOCKS = 3
RATE = 4e-3  # of Adam, falling to 0 along a cosine
EMA = 0.999  # of the weights that are kept

Parameters = list[np.ndarray]


def initial(inputs: int, width: int, outputs: int, random: np.random.Generator) -> Parameters:
    """He's initialisation, and a last layer of zeros; float32."""
    arrays = [
        random.standard_normal((inputs, width)) * np.sqrt(1 / inputs),
        np.zeros(width),
        random.standard_normal((BLOCKS, width, width)) * np.sqrt(2 / width),
        np.zeros((BLOCKS, width)),
        np.zeros((width, outputs)),
        np.zeros(outputs),
    ]
    return [array.astype(np.float32) for array in arrays]


def apply(x: tf.Tensor, first, first_bias, inner, inner_bias, last, last_bias) -> tf.Tensor:
    """Outputs float32 [n, d] of inputs float32 [n, i]: h <- h + silu(W h + b) between two linear layers."""
    h = x @ first + first_bias
    for block in range(inner.shape[0]):
        h += tf.nn.silu(h @ inner[block] + inner_bias[block])
    return h @ last + last_bias


def train(
    start: Parameters,
    loss: Callable[..., tf.Tensor],
    batches: Callable[[int, Parameters], tuple[np.ndarray, ...]],
    steps: int,
) -> Parameters:
    """Minimise loss(parameters, *batch), a scalar, by Adam; returns the moving average of the weights.

    batches: gives the arrays of a step, all steps' of the same shapes, from its number and the parameters.
    """
    variables = [keras.Variable(array) for array in start]
    schedule = keras.optimizers.schedules.CosineDecay(RATE, steps)
    optimizer = keras.optimizers.Adam(schedule, use_ema=True, ema_momentum=min(EMA, max(0, 1 - 10 / steps)))
    optimizer.build(variables)

    @tf.function
    def step(*batch):
        with tf.GradientTape() as tape:
            value = loss([variable.value for variable in variables], *batch)
        optimizer.apply(tape.gradient(value, [variable.value for variable in variables]), variables)

    for number in range(steps):
        step(*map(tf.constant, batches(number, [variable.value for variable in variables])))
    optimizer.finalize_variable_values(variables)
    return [variable.numpy() for variable in variables]
