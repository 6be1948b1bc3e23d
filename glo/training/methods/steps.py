"""What every method gives to the training loop, and the random numbers of its steps."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from glo.data.randomness import Stream
from glo.training.state import Training

# (rows int64 [B], each at most once; their images uint8 [B, H, W, C]) -> losses float32 [B] by name, of which `loss` is
# always one.
Step = Callable[[np.ndarray, np.ndarray], dict[str, tf.Tensor]]


class Steps(NamedTuple):
    """The steps of a run.

    learn: trains the generator. rows: of the images that the generator learns from.
    refine: follows, with a frozen generator, and visits each row of the code table once, to find its code.
    """

    learn: Step
    refine: Step


def normal(training: Training, shape: tf.Tensor | tuple[int, ...], stream: Stream) -> tf.Tensor:
    """Standard normal numbers float32 of a shape, which depend on the seed of the run and the step of the model."""
    key = tf.constant([training.settings.seed, stream], tf.int64)
    key = tf.random.experimental.stateless_fold_in(key, training.model.step)
    return tf.random.stateless_normal(shape, key)
