"""Reconstruction losses. Each takes prediction and target, float32 [B, H, W, C] in [-1, 1], to losses float32 [B].

Every sample has a loss of its own, a mean over its pixels, because every code follows its own (section 3 of the paper).
"""

from collections.abc import Callable
from functools import partial

import tensorflow as tf

from glo.model import filters
from glo.settings import loss_expression

Loss = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]

PATCH, STRIDE = 4, 2  # of local_moment
WINDOW, SIGMA, K1, K2 = 11, 1.5, 0.01, 0.03  # of ssim


def build(text: str) -> Loss:
    """The weighted sum of losses that an objective such as `lap_l1+0.5*mse` names.

    Its grammar is in `glo.settings.loss_expression`; a text that is not in it raises `ValueError`.
    """
    terms = [(term.weight, partial(LOSSES[term.name], **term.arguments)) for term in loss_expression.parse(text)]
    return lambda prediction, target: sum(weight * loss(prediction, target) for weight, loss in terms)


def mse(prediction: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Mean squared error."""
    return _mean(tf.square(prediction - target))


def l1(prediction: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Mean absolute error."""
    return _mean(tf.abs(prediction - target))


def huber(prediction: tf.Tensor, target: tf.Tensor, delta: float) -> tf.Tensor:
    """Mean of e^2 / 2 for errors e up to delta, and beyond of the tangent delta (|e| - delta / 2)."""
    error = tf.abs(prediction - target)
    near = tf.minimum(error, delta)
    return _mean(0.5 * tf.square(near) + delta * (error - near))


def lap_l1(prediction: tf.Tensor, target: tf.Tensor, levels: int, sigma: float, weights: str) -> tf.Tensor:
    """L1 distance of Laplacian pyramids (equation 3 of the paper): sum over j of w_j mean |L^j(x) - L^j(x')|.

    Level j is x_j - blur(x_j), with x_0 the image and x_{j+1} = halve(blur(x_j)). There are `levels` of them, fewer if
    a side falls below 2 pixels before, and the last x_j itself ends the pyramid.

    The paper has 2^{2j} |L^j(x) - L^j(x')|_1, a *sum* over a level's values, of which there are 4^-j as many as in the
    image, H W C. So 2^{2j} times the sum is H W C times the mean: the paper's weights let all levels count alike.
        plain   w_j = 1: the paper's loss divided by H W C, where the sides halve without a remainder
        paper   the paper's loss divided by H W C, always: where an odd last row or column is dropped in halving, the
                levels below count a little less than in `plain` (28x28: 1, 1, 1 and 0.73)
        pixels  sums without weights, divided by H W C: w_j = 2^{-2j} on means, which is what some implementations
                take. Every value of the pyramid counts alike, so that the fine levels decide.
    """
    # The pyramid is linear, so it is taken once, of the difference.
    rest = filters.planes(prediction - target)
    pyramid, (height, width) = [], rest.shape[2:]
    while len(pyramid) < levels and min(rest.shape[2:]) > 1:
        sides = rest.shape[2:]
        blurred = filters.apply(*(filters.blur(n, sigma) for n in sides), rest)
        pyramid.append(rest - blurred)
        rest = filters.apply(*(filters.halve(n) for n in sides), blurred)
    total = 0.0
    for j, level in enumerate([*pyramid, rest]):
        share = level.shape[2] * level.shape[3] / (height * width)
        weight = {"plain": 1.0, "paper": 4**j * share, "pixels": share}[weights]
        total += weight * _mean(tf.abs(level))
    return total


def local_moment(prediction: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """L1 of the means, plus L1 of the (biased) variances, of 4x4 patches at every second pixel, each channel alone.

    It leaves the pixels of a patch open, so it is meant as a part of a sum. Patches lie within the image, and none sees
    an odd last row or column; a side below 4 has one patch of its whole length.
    """
    x, y = filters.planes(prediction), filters.planes(target)
    rows, columns = (filters.windows(n, filters.box(min(PATCH, n)), STRIDE) for n in x.shape[2:])
    stacked = filters.apply(rows, columns, tf.concat([x, y, tf.square(x), tf.square(y)], axis=1))
    mean_x, mean_y, square_x, square_y = tf.split(stacked, 4, axis=1)
    variances = (square_x - tf.square(mean_x)) - (square_y - tf.square(mean_y))
    return _mean(tf.abs(mean_x - mean_y)) + _mean(tf.abs(variances))


def pairwise_mse(prediction: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Mean over all pairs of a sample's values of ((x_i - x_j) - (x'_i - x'_j))^2: blind to a shift of all values.

    It is `tf.losses.mean_pairwise_squared_error` of TensorFlow 1 for each sample alone, and twice the unbiased variance
    of the difference; 0 for a single value.
    """
    error = prediction - target
    values = error.shape[1] * error.shape[2] * error.shape[3]
    centred = error - tf.reduce_mean(error, axis=(1, 2, 3), keepdims=True)
    return tf.reduce_sum(tf.square(centred), axis=(1, 2, 3)) * (2 / max(values - 1, 1))


def ssim(prediction: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Structural similarity (Wang, Bovik, Sheikh, Simoncelli, 2004) in (-1, 1], 1 for equal images; float32 [B].

    Of pixels in [0, 1]: mean over channels and over all places where a Gaussian window of 11x11 with sigma 1.5 fits,
    K1 = 0.01, K2 = 0.03, data range 1. On a side below 11 the window is as long as the side.
    """
    # Means must not be negative: of pixels in [-1, 1], an image and its inverse have a *high* index.
    x, y = (filters.planes(images + 1) / 2 for images in (prediction, target))
    rows, columns = (filters.windows(n, filters.gaussian(min(WINDOW, n), SIGMA), 1) for n in x.shape[2:])
    stacked = filters.apply(rows, columns, tf.concat([x, y, x * y, tf.square(x) + tf.square(y)], axis=1))
    mean_x, mean_y, product, squares = tf.split(stacked, 4, axis=1)
    means, mean_squares = mean_x * mean_y, tf.square(mean_x) + tf.square(mean_y)
    luminance = (2 * means + K1**2) / (mean_squares + K1**2)
    structure = (2 * (product - means) + K2**2) / (squares - mean_squares + K2**2)
    return _mean(luminance * structure)


LOSSES: dict[str, Callable[..., tf.Tensor]] = {
    "mse": mse,
    "l1": l1,
    "huber": huber,
    "lap_l1": lap_l1,
    "local_moment": local_moment,
    "pairwise_mse": pairwise_mse,
    "ssim": lambda prediction, target: 1 - ssim(prediction, target),
}


def _mean(values: tf.Tensor) -> tf.Tensor:
    """The mean of each sample's values."""
    return tf.reduce_mean(values, axis=(1, 2, 3))
