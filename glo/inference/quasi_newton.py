"""Fast fitting: a few steps of L-BFGS (Nocedal, 1980) on the squared error, each image with a memory of its own.

    z* = argmin over z in the projected set of  mean (g(z) - x)^2

Losses with absolute values have gradients that do not shrink near a minimum, so that fitting needs many small steps.
The squared error is smooth, and its Hessian in z, about twice J'J for the Jacobian J of g, has eigenvalues of similar
size: from a good start, few steps with an estimate of its inverse come close to the minimum.
"""

import math
from collections.abc import Callable

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from glo.data.conditions import unconditional
from glo.model.codes import project
from glo.model.glo_model import GloModel, normalize_pixels
from glo.model.losses import mse
from glo.runtime.log import progress_hidden

STEPS = (
    30  # from the encoder; chosen on digits left out of MNIST's training images, as good as 200 updates of `fitting`
)
MEMORY = 10  # pairs of steps and gradient differences from which the inverse Hessian is estimated
SHRINK, GROW = 0.3, 2.0  # factors on the length of steps after one that raised the error, and after one that did not
CURVED = 1e-10  # a pair is used if its curvature s'y is at least this share of y'y

Minimizer = Callable[..., np.ndarray]  # see `make_minimizer`


def make_minimizer(model: GloModel, projection: str, batch_size: int) -> Minimizer:
    """Compile the function (codes, images, steps, conditions) -> fitted codes float32 [n, d].

    codes: float32 [n, d]. images: uint8 [n, H, W, C]. steps: number of updates. conditions: float32 [n, k]; they can be
    left out for an unconditional model, with k = 0. batch_size: images at once. The result is deterministic, and the
    error of no image is larger than that of the code it starts from.
    """

    def evaluate(codes: tf.Tensor, conditions: tf.Tensor, target: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(codes)
            errors = mse(model.decode(codes, conditions), target)
        return errors, tape.gradient(errors, codes)

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, model.dimension], tf.float32),
            tf.TensorSpec([None, *model.image_shape], tf.uint8),
            tf.TensorSpec([], tf.int32),
            tf.TensorSpec([None, model.condition_size], tf.float32),
        ]
    )
    def minimize(codes: tf.Tensor, images: tf.Tensor, steps: tf.Tensor, conditions: tf.Tensor) -> tf.Tensor:
        target, codes = normalize_pixels(images), project(codes, projection)
        errors, gradients = evaluate(codes, conditions, target)
        moves = changes = tf.zeros(tf.concat([[MEMORY], tf.shape(codes)], axis=0))
        scale = _inverse_curvature(model, codes, conditions)
        length = tf.ones_like(scale)
        for _ in tf.range(steps):
            direction = _direction(gradients, moves, changes, scale)
            new_codes = project(codes - length * direction, projection)
            new_errors, new_gradients = evaluate(new_codes, conditions, target)
            move, change = new_codes - codes, new_gradients - gradients
            curvature, size = _dot(move, change), _dot(change, change)
            curved = curvature > CURVED * size
            moves = tf.concat([moves[1:], tf.where(curved, move, 0.0)[None]], axis=0)
            changes = tf.concat([changes[1:], tf.where(curved, change, 0.0)[None]], axis=0)
            scale = tf.where(curved, curvature / tf.where(curved, size, 1.0), scale)
            better = new_errors < errors
            length = tf.where(better[:, None], tf.minimum(1.0, GROW * length), SHRINK * length)
            codes = tf.where(better[:, None], new_codes, codes)
            gradients = tf.where(better[:, None], new_gradients, gradients)
            errors = tf.where(better, new_errors, errors)
        return codes

    def run(codes: np.ndarray, images: np.ndarray, steps: int, conditions: np.ndarray | None = None) -> np.ndarray:
        fitted, conditions = np.empty_like(codes), unconditional(len(codes))[:] if conditions is None else conditions
        with tqdm(total=len(images), desc="fitting", unit="image", disable=progress_hidden(), leave=False) as bar:
            for start in range(0, len(images), batch_size):
                batch = slice(start, start + batch_size)
                fitted[batch] = minimize(codes[batch], images[batch], steps, conditions[batch]).numpy()
                bar.update(len(images[batch]))
        return fitted

    return run


def _direction(gradients: tf.Tensor, moves: tf.Tensor, changes: tf.Tensor, scale: tf.Tensor) -> tf.Tensor:
    """The estimate of the inverse Hessian times the gradients, float32 [B, d], by the two-loop recursion.

    moves, changes: pairs s and y, float32 [MEMORY, B, d], the newest last; unused ones are 0. scale: the initial
    estimate of the inverse Hessian, float32 [B, 1].
    """
    curvatures = _dot(moves, changes)
    inverse = tf.where(curvatures > 0, 1 / tf.where(curvatures > 0, curvatures, 1.0), 0.0)
    direction, shares = gradients, {}
    for pair in reversed(range(MEMORY)):
        shares[pair] = inverse[pair] * _dot(moves[pair], direction)
        direction -= shares[pair] * changes[pair]
    direction *= scale
    for pair in range(MEMORY):
        direction += moves[pair] * (shares[pair] - inverse[pair] * _dot(changes[pair], direction))
    return direction


def _inverse_curvature(model: GloModel, codes: tf.Tensor, conditions: tf.Tensor) -> tf.Tensor:
    """Inverse of the mean eigenvalue of the Hessian, float32 [B, 1], for codes float32 [B, d] under conditions [B, k].

    The Hessian is about 2 J'J / (H W C). The mean square of J'v, for random signs v, estimates the mean eigenvalue of
    J'J.
    """
    signs = tf.sign(tf.random.stateless_normal([1, *model.image_shape], [0, 0]))
    with tf.GradientTape() as tape:
        tape.watch(codes)
        products = tf.reduce_sum(model.decode(codes, conditions) * signs, axis=(1, 2, 3))
    squares = tf.reduce_mean(tf.square(tape.gradient(products, codes)), axis=1, keepdims=True)
    return math.prod(model.image_shape) / (2 * tf.maximum(squares, 1e-20))


def _dot(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """Scalar products of codes float32 [..., d], as [..., 1]."""
    return tf.reduce_sum(a * b, axis=-1, keepdims=True)
