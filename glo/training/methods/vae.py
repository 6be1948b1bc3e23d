"""Variational autoencoder (Kingma, Welling, ICLR 2014): the encoder predicts a normal distribution of codes.

    min over g, e of  mean of  E loss(g(z), x) + beta KL(N(m, s^2) | N(0, I)) / D    with z = m + s * noise

m and s are outputs of the encoder, and D is the number of pixel values of an image. With the loss `mse`, this is the
evidence lower bound, up to factors and constants, of a decoder with the variance beta / 2 of a pixel value in [-1, 1].
"""

from functools import partial

import tensorflow as tf

from glo.data.randomness import Stream
from glo.model import encoder
from glo.model.glo_model import normalize_pixels
from glo.model.precision import computing_in
from glo.training.methods import autoencoder
from glo.training.methods.steps import normal
from glo.training.state import Training
from glo.training.step import Gradients

MAX_LOG_VARIANCE = 10.0  # in both directions: the exponential of an untrained output could be infinite


def gradients(
    training: Training, images: tf.Tensor, condition: tf.Tensor
) -> tuple[dict[str, tf.Tensor], tf.Tensor, Gradients]:
    """Compute losses float32 [B] by name, among them `kl` in nats an image, mean codes float32 [B, d], and gradients.

    images: uint8 [B, H, W, C]. condition: float32 [B, k].
    """
    model, settings, loss = training.model, training.settings, training.loss
    networks, target = (model.generator, model.companion), normalize_pixels(images)
    with (
        tf.GradientTape() as tape,
        computing_in(model.generator, settings.precision),
        computing_in(model.companion, settings.precision),
    ):
        outputs = encoder.predict(model.companion, target, condition, training=True)
        means, log_variances = tf.split(outputs, 2, axis=1)
        log_variances = tf.clip_by_value(log_variances, -MAX_LOG_VARIANCE, MAX_LOG_VARIANCE)
        codes = means + tf.exp(log_variances / 2) * normal(training, tf.shape(means), Stream.POSTERIOR_NOISE)
        losses = loss(model.decode(codes, condition, training=True), target)
        divergences = kl(means, log_variances)
        size = model.image_shape[0] * model.image_shape[1] * model.image_shape[2]
        mean = tf.reduce_mean(losses + settings.beta * divergences / size)
    of_generator, of_encoder = tape.gradient(mean, [network.trainable_variables for network in networks])
    return {"loss": losses, "kl": divergences}, means, Gradients(of_generator, companion=of_encoder)


def kl(means: tf.Tensor, log_variances: tf.Tensor) -> tf.Tensor:
    """The Kullback-Leibler divergence of N(mean, variance), float32 [B, d] both, from N(0, I): float32 [B], in nats."""
    return tf.reduce_sum(tf.square(means) + tf.exp(log_variances) - log_variances - 1, axis=1) / 2


make_steps = partial(autoencoder.make_steps, objective=gradients)
