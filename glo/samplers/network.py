"""A small residual network, stored as plain arrays, and its training, for the samplers `imle`, `flow` and `leading`."""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

BLOCKS = 3
RATE = 4e-3  # learning rate of Adam, with cosine decay to 0
EMA = 0.999  # decay of the moving average of the weights
STEPS_PER_CODE = 4  # few codes need few steps: each is still visited a thousand times

Parameters = list[np.ndarray]


def shapes(inputs: str, outputs: str) -> dict[str, str]:
    """The fields of a sampler for its network: matrices and biases of `b` residual layers of width `w`, in this order.

    inputs, outputs: the letters of these numbers in `Sampler.SHAPES`.
    """
    return {
        "first": f"{inputs}w", "first_bias": "w", "inner": "bww", "inner_bias": "bw",
        "last": f"w{outputs}", "last_bias": outputs,
    }  # fmt: skip


SHAPES = shapes("i", "d")


def initial(inputs: int, width: int, outputs: int, random: np.random.Generator) -> Parameters:
    """Initial parameters, float32: He's initialisation, and zeros in the last layer."""
    arrays = [
        random.standard_normal((inputs, width)) * np.sqrt(1 / inputs),
        np.zeros(width),
        random.standard_normal((BLOCKS, width, width)) * np.sqrt(2 / width),
        np.zeros((BLOCKS, width)),
        np.zeros((width, outputs)),
        np.zeros(outputs),
    ]
    return [array.astype(np.float32) for array in arrays]


def training_steps(n: int, most: int) -> int:
    """The number of training steps for n codes, at most `most`."""
    return min(most, STEPS_PER_CODE * n)


def apply(x: tf.Tensor, first, first_bias, inner, inner_bias, last, last_bias) -> tf.Tensor:
    """Map inputs float32 [n, i] to outputs float32 [n, d]: layers h + silu(W h + b) between two linear layers."""
    h = x @ first + first_bias
    for block in range(inner.shape[0]):
        h += tf.nn.silu(h @ inner[block] + inner_bias[block])
    return h @ last + last_bias


def train(
    start: Parameters,
    loss: Callable[..., tf.Tensor],
    batches: Callable[[int, Parameters], tuple[np.ndarray, ...]],
    steps: int,
    name: str,
) -> Parameters:
    """Minimise loss(parameters, *batch), a scalar, by Adam; returns the moving average of the parameters.

    name: of the sampler, for the progress bar.
    batches: function of a step's number and the current parameters that returns the arrays of the batch. Their shapes
        must not change between steps.
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

    for number in tqdm(range(steps), desc=f"fitting {name}", unit="step", disable=None, leave=False):
        step(*map(tf.constant, batches(number, [variable.value for variable in variables])))
    optimizer.finalize_variable_values(variables)
    return [variable.numpy() for variable in variables]
