"""Autoencoder: codes are the outputs of an encoder, which is trained along with the generator g.

    min over g, e of  mean of  loss(g(e(x)), x) + code_decay |e(x)|^2 + gradient_penalty |dg/dz|^2

With `gradient_penalty` or, in its place, `weight_decay`, this is the regularised autoencoder RAE (Ghosh, Sajjadi,
Vergari, Black, Schölkopf, ICLR 2020). A distribution is fitted to its codes afterwards.
"""

from collections.abc import Callable

import tensorflow as tf

from glo.data.randomness import Stream
from glo.model import encoder
from glo.model.glo_model import normalize_pixels
from glo.model.precision import computing_in
from glo.runtime import device
from glo.training.methods.steps import Steps, normal
from glo.training.state import Training
from glo.training.step import Gradients, apply, batch_signature, count_step, step_sizes

# (training, images uint8 [B, H, W, C], conditions float32 [B, k]) -> losses by name, codes float32 [B, d], gradients
Objective = Callable[[Training, tf.Tensor, tf.Tensor], tuple[dict[str, tf.Tensor], tf.Tensor, Gradients]]


def gradients(
    training: Training, images: tf.Tensor, condition: tf.Tensor
) -> tuple[dict[str, tf.Tensor], tf.Tensor, Gradients]:
    """Compute losses float32 [B] by name, codes float32 [B, d], and the gradients of both networks.

    images: uint8 [B, H, W, C]. condition: float32 [B, k].
    """
    model, settings, loss = training.model, training.settings, training.loss
    networks, target = (model.generator, model.companion), normalize_pixels(images)
    with (
        tf.GradientTape() as tape,
        computing_in(model.generator, settings.precision),
        computing_in(model.companion, settings.precision),
    ):
        codes = encoder.predict(model.companion, target, condition, training=True)
        with tf.GradientTape() as inner:
            inner.watch(codes)
            generated = model.decode(codes, condition, training=True)
            if settings.gradient_penalty:
                # The expectation of |v' dg/dz|^2 over normal v is the squared Frobenius norm of dg/dz.
                direction = normal(training, tf.shape(generated), Stream.PENALTY_DIRECTIONS)
                along = tf.reduce_sum(direction * generated)
        losses = loss(generated, target)
        total = losses + settings.code_decay * tf.reduce_sum(tf.square(codes), axis=1)
        if settings.gradient_penalty:
            slope = inner.gradient(along, codes)
            total += settings.gradient_penalty * tf.reduce_sum(tf.square(slope), axis=1)
        mean = tf.reduce_mean(total)
    of_generator, of_encoder = tape.gradient(mean, [network.trainable_variables for network in networks])
    return {"loss": losses}, codes, Gradients(of_generator, companion=of_encoder)


def make_steps(training: Training, learned: int, objective: Objective = gradients) -> Steps:
    """Compile the steps. learned: number of steps that train the networks. objective: what they minimise."""
    model, settings, loss = training.model, training.settings, training.loss

    @tf.function(jit_compile=device.jit(settings.jit))
    def compiled_gradients(
        images: tf.Tensor, condition: tf.Tensor
    ) -> tuple[dict[str, tf.Tensor], tf.Tensor, Gradients]:
        return objective(training, images, condition)

    @tf.function(input_signature=batch_signature(model))
    def learn(rows: tf.Tensor, images: tf.Tensor) -> dict[str, tf.Tensor]:
        losses, codes, grads = compiled_gradients(images, model.condition(rows))
        apply(model, rows, codes, grads, step_sizes(model, settings, learned))
        model.table.assign(rows, codes)  # so that every checkpoint has a code for each image
        count_step(model, settings)
        return losses

    @tf.function(input_signature=batch_signature(model))
    def refine(rows: tf.Tensor, images: tf.Tensor) -> dict[str, tf.Tensor]:
        target, condition = normalize_pixels(images), model.condition(rows)
        codes = encoder.predict(model.encoder, target, condition)[:, : model.dimension]
        model.table.assign(rows, codes)
        model.step.assign_add(1)
        return {"loss": loss(model.decode(codes, condition), target)}

    return Steps(learn, refine)
