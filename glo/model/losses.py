"""Reconstruction losses, functions of prediction and target, float32 [B, H, W, C] in [-1, 1], to losses float32 [B].

Losses are averaged over the pixels of a sample but not over the batch, because every code descends the gradient of its
own loss (section 3 of the paper).
"""

from collections.abc import Callable
from functools import partial

import tensorflow as tf

from glo.model import filters, perceptual
from glo.model.perceptual import Maps
from glo.settings import loss_expression

Loss = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]

PATCH, STRIDE = 4, 2  # of local_moment, in pixels
WINDOW, SIGMA, K1, K2 = 11, 1.5, 0.01, 0.03  # of ssim: window and sigma in pixels, constants of the paper


def build(text: str, maps: Maps | None = None) -> Loss:
    """Build the weighted sum of losses that a text such as `lap_l1+0.5*mse` describes.

    `glo.settings.loss_expression` defines the grammar. maps: the network that the loss `perceptual` compares by, which
    other losses do not need.
    Raises `ValueError` for a text that does not follow the grammar, and for `perceptual` without a network.
    """

    def term_loss(term: loss_expression.Term) -> Loss:
        if term.name != loss_expression.PERCEPTUAL:
            return partial(LOSSES[term.name], **term.arguments)
        if maps is None:
            raise ValueError(f"the loss {term.name} needs a network")
        return partial(perceptual.distance, maps)

    terms = [(term.weight, term_loss(term)) for term in loss_expression.parse(text)]
    return lambda prediction, target: sum(weight * loss(prediction, target) for weight, loss in terms)


def mse(prediction: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Mean squared error."""
    return _mean(tf.square(prediction - target))


def l1(prediction: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Mean absolute error."""
    return _mean(tf.abs(prediction - target))


def huber(prediction: tf.Tensor, target: tf.Tensor, delta: float) -> tf.Tensor:
    """Mean Huber loss: e^2 / 2 for errors |e| <= delta, and delta (|e| - delta / 2) for larger ones."""
    error = tf.abs(prediction - target)
    quadratic = tf.minimum(error, delta)
    return _mean(0.5 * tf.square(quadratic) + delta * (error - quadratic))


def lap_l1(prediction: tf.Tensor, target: tf.Tensor, levels: int, sigma: float, weights: str) -> tf.Tensor:
    """L1 distance of Laplacian pyramids (equation 3 of the paper): sum over j of w_j mean |L^j(x) - L^j(x')|.

    Level j is x_j - blur(x_j), where x_0 is the image and x_{j+1} = halve(blur(x_j)). The pyramid has `levels` such
    levels, or fewer if a side of x_j becomes a single pixel, and ends with the last x_j itself. `sigma` is the standard
    deviation of the blur in pixels.

    The paper weights each level by 2^{2j} and takes the *sum* |L^j(x) - L^j(x')|_1. Level j has 4^-j times the H W C
    values of the image, so that 2^{2j} times the sum is H W C times the mean: all levels have equal weight. `weights`:
        plain   w_j = 1. This is the paper's loss divided by H W C if every side is halved without remainder.
        paper   the paper's loss divided by H W C in all cases. Halving an odd side drops a row or column, and the
                levels below have slightly smaller weights than in `plain` (28x28: 1, 1, 1 and 0.73).
        pixels  sums without weights, divided by H W C, as in some implementations: w_j = 2^{-2j} on means. Every value
                of the pyramid has equal weight, so that the fine levels dominate.
    """
    # The pyramid is linear: one pyramid of the difference replaces two.
    image = filters.planes(prediction - target)
    pyramid, (height, width) = [], image.shape[2:]
    while len(pyramid) < levels and min(image.shape[2:]) > 1:
        sides = image.shape[2:]
        blurred = filters.apply(*(filters.blur(n, sigma) for n in sides), image)
        pyramid.append(image - blurred)
        image = filters.apply(*(filters.halve(n) for n in sides), blurred)
    total = 0.0
    for j, level in enumerate([*pyramid, image]):
        share = level.shape[2] * level.shape[3] / (height * width)
        weight = {"plain": 1.0, "paper": 4**j * share, "pixels": share}[weights]
        total += weight * _mean(tf.abs(level))
    return total


def local_moment(prediction: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """L1 distance of the means plus L1 distance of the (biased) variances of 4x4 patches, channel by channel.

    Patches start at every second pixel and lie within the image: an odd last row or column belongs to no patch. A side
    below 4 pixels has one patch of its whole length. The moments do not determine the pixels of a patch, so that this
    loss is meant to be added to another one.
    """
    x, y = filters.planes(prediction), filters.planes(target)
    rows, columns = (filters.windows(n, filters.box(min(PATCH, n)), STRIDE) for n in x.shape[2:])
    stacked = filters.apply(rows, columns, tf.concat([x, y, tf.square(x), tf.square(y)], axis=1))
    mean_x, mean_y, square_x, square_y = tf.split(stacked, 4, axis=1)
    variances = (square_x - tf.square(mean_x)) - (square_y - tf.square(mean_y))
    return _mean(tf.abs(mean_x - mean_y)) + _mean(tf.abs(variances))


def pairwise_mse(prediction: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Mean of ((x_i - x_j) - (x'_i - x'_j))^2 over all pairs of values of a sample; invariant to a constant offset.

    Equals `tf.losses.mean_pairwise_squared_error` of TensorFlow 1 applied to each sample, and twice the unbiased
    variance of the difference. It is 0 for a single value.
    """
    error = prediction - target
    values = error.shape[1] * error.shape[2] * error.shape[3]
    centred = error - tf.reduce_mean(error, axis=(1, 2, 3), keepdims=True)
    return tf.reduce_sum(tf.square(centred), axis=(1, 2, 3)) * (2 / max(values - 1, 1))


def ssim(prediction: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Structural similarity index (Wang, Bovik, Sheikh, Simoncelli, 2004) in (-1, 1], 1 for equal images; float32 [B].

    Prediction and target, in [-1, 1], are rescaled to [0, 1] (data range 1, K1 = 0.01, K2 = 0.03). The index is
    averaged over channels and over all positions of a Gaussian window of 11x11 pixels with sigma 1.5 within the image.
    Along a side below 11 pixels, the window is as long as the side.
    """
    # Rescaled because means must not be negative: with pixels in [-1, 1], an image and its inverse get a *high* index.
    x, y = (filters.planes(images + 1) / 2 for images in (prediction, target))
    rows, columns = (filters.windows(n, filters.gaussian(min(WINDOW, n), SIGMA), 1) for n in x.shape[2:])
    stacked = filters.apply(rows, columns, tf.concat([x, y, x * y, tf.square(x) + tf.square(y)], axis=1))
    mean_x, mean_y, product, squares = tf.split(stacked, 4, axis=1)
    means, mean_squares = mean_x * mean_y, tf.square(mean_x) + tf.square(mean_y)
    luminance = (2 * means + K1**2) / (mean_squares + K1**2)
    structure = (2 * (product - means) + K2**2) / (squares - mean_squares + K2**2)
    return _mean(luminance * structure)


# By the names of --loss; `glo.settings.loss_expression.LOSSES` lists their arguments without loading TensorFlow, and
# those of `perceptual`, which is not here because it needs a network.
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
    """Mean over the values of each sample: [B, ., ., .] to [B]."""
    return tf.reduce_mean(values, axis=(1, 2, 3))
