"""GAN (Goodfellow et al., 2014): the generator learns to deceive a discriminator, from codes drawn from N(0, I).

Both networks take a step at once, on the non-saturating loss and, for the discriminator, with the penalty R1
(Mescheder, Geiger, Nowozin, ICML 2018): gradient_penalty / 2 times its squared gradient at training images. A GAN gives
no codes to images. When it is trained, the codes of at most `CODED` training images are found by inversion: gradient
descent on the reconstruction loss, from the code of the nearest of some generated images, without projection.
"""

import math
from functools import cached_property

import numpy as np
import tensorflow as tf

from glo.data.randomness import Stream, random_generator
from glo.inference import fitting
from glo.inference.decoder import Decoder
from glo.inference.neighbors import nearest
from glo.model import discriminator
from glo.model.glo_model import normalize_pixels
from glo.model.precision import computing_in
from glo.runtime import device
from glo.training.methods.steps import Steps, normal
from glo.training.state import Training
from glo.training.step import Gradients, apply, batch_signature, count_step, step_sizes

STARTS = 4096  # generated images among which inversion looks for the nearest
UPDATES = 200  # of each inverted code


def gradients(
    training: Training, codes: tf.Tensor, images: tf.Tensor, condition: tf.Tensor
) -> tuple[dict[str, tf.Tensor], Gradients]:
    """Compute losses float32 [B] by name, and the gradients of both networks.

    `loss` is that of the generator, `discriminator_loss` is without the penalty, and `discriminator_accuracy` is the
    share of the training and the generated image that is recognised. codes: float32 [B, d]. images: uint8
    [B, H, W, C]. condition: float32 [B, k], of the training and the generated images.
    """
    model, settings, network = training.model, training.settings, training.model.companion
    real = normalize_pixels(images)
    with (
        tf.GradientTape(persistent=True) as tape,
        computing_in(model.generator, settings.precision),
        computing_in(network, settings.precision),
    ):
        with tf.GradientTape() as inner:
            inner.watch(real)
            of_real = discriminator.logits(network, real, condition)
        slope = inner.gradient(of_real, real)
        of_generated = discriminator.logits(network, model.decode(codes, condition, training=True), condition)
        losses = tf.nn.softplus(-of_generated)
        discriminator_losses = tf.nn.softplus(-of_real) + tf.nn.softplus(of_generated)
        penalties = settings.gradient_penalty / 2 * tf.reduce_sum(tf.square(slope), axis=(1, 2, 3))
        generator_mean = tf.reduce_mean(losses)
        discriminator_mean = tf.reduce_mean(discriminator_losses + penalties)
    grads = Gradients(
        tape.gradient(generator_mean, model.generator.trainable_variables),
        companion=tape.gradient(discriminator_mean, network.trainable_variables),
    )
    recognised = [tf.cast(right, tf.float32) for right in (of_real > 0, of_generated < 0)]
    named = {
        "loss": losses,
        "discriminator_loss": discriminator_losses,
        "discriminator_accuracy": (recognised[0] + recognised[1]) / 2,
    }
    return named, grads


def make_steps(training: Training, learned: int) -> Steps:
    """Compile the steps. learned: number of steps that train the networks."""
    model, settings = training.model, training.settings
    conditions = training.dataset.conditions.take(training.dataset.seen_rows).values

    @tf.function(jit_compile=device.jit(settings.jit))
    def compiled_gradients(
        codes: tf.Tensor, images: tf.Tensor, condition: tf.Tensor
    ) -> tuple[dict[str, tf.Tensor], Gradients]:
        return gradients(training, codes, images, condition)

    @tf.function(input_signature=batch_signature(model))
    def learn(rows: tf.Tensor, images: tf.Tensor) -> dict[str, tf.Tensor]:
        codes = normal(training, (tf.size(rows), model.dimension), Stream.GENERATED_CODES)
        losses, grads = compiled_gradients(codes, images, model.condition(rows, tf.constant(conditions)))
        apply(model, rows, codes, grads, step_sizes(model, settings, learned))
        count_step(model, settings)
        return losses

    def learn_unfused(rows: np.ndarray, images: np.ndarray) -> dict[str, tf.Tensor]:
        # The fusion fails for the gradient of the penalty, and prints an error at the first step.
        with device.without_fusion():
            return learn(rows, images)

    return Steps(learn_unfused, _Inversion(training))


class _Inversion:
    """The step that finds the codes of the images of a batch."""

    def __init__(self, training: Training):
        self._training = training
        loss, scale = training.loss, math.sqrt(training.model.dimension)
        self._descend = fitting.make_descent(training.model, loss, training.settings.projection, scale=scale)

    def __call__(self, rows: np.ndarray, images: np.ndarray) -> dict[str, tf.Tensor]:
        model, (codes, generated) = self._training.model, self._starts
        conditions = model.condition(rows).numpy()
        starts = codes[nearest(images, generated, 1)[1][:, 0]]
        *_, best, losses = self._descend(fitting.begin(starts), images, conditions, 0, UPDATES, UPDATES)
        model.table.assign(rows, best)
        model.step.assign_add(1)
        return {"loss": tf.constant(losses)}

    @cached_property
    def _starts(self) -> tuple[np.ndarray, np.ndarray]:
        """`STARTS` codes float32 [s, d] from N(0, I), and their images under conditions of training images.

        They are computed when they are needed, since the generator has been trained by then.
        """
        model, random = self._training.model, random_generator(self._training.settings.seed, Stream.INVERSION_STARTS)
        codes = random.standard_normal((STARTS, model.dimension), np.float32)
        conditions = model.condition(random.integers(len(self._training.originals), size=STARTS)).numpy()
        return codes, Decoder(model).images(codes, conditions)
