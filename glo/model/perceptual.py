"""The loss `perceptual`: images are compared by the maps of a frozen network, rather than by their pixels.

The distance is that of LPIPS (Zhang, Isola, Efros, Shechtman, Wang, CVPR 2018) without its learned weights. The network
comes from `glo.features.loss_network`.
"""

from collections.abc import Callable

import tensorflow as tf

# Images float32 [B, H, W, C] in [-1, 1] -> maps float32 [B, h, w, c] of a frozen network, in any number and sizes.
Maps = Callable[[tf.Tensor], list[tf.Tensor]]

# Added to the squared norm, whose root has no derivative where all features are 0, as those after a ReLU can be.
EPSILON = 1e-6


def distance(maps: Maps, prediction: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Mean over the maps of the squared distance of normalised features, averaged over positions: float32 [B].

    The features f at a position, a vector of all channels, become f / sqrt(|f|^2 + EPSILON). Each term is in [0, 4].
    prediction, target: float32 [B, H, W, C] in [-1, 1]. The gradient for the target is 0.
    """
    pairs = list(zip(maps(prediction), maps(tf.stop_gradient(target)), strict=True))
    terms = [tf.reduce_sum(tf.square(_normalised(x) - _normalised(y)), axis=-1) for x, y in pairs]
    return tf.add_n([tf.reduce_mean(term, axis=(1, 2)) for term in terms]) / len(terms)


def _normalised(features: tf.Tensor) -> tf.Tensor:
    return features * tf.math.rsqrt(tf.reduce_sum(tf.square(features), axis=-1, keepdims=True) + EPSILON)
