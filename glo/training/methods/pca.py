"""PCA: the linear generator with the least squared error, by subspace iteration with a pass over the images an epoch.

The first epoch computes the mean image. Each further one multiplies the covariance with a basis of d + 32 directions,
from which the Ritz vectors (Saad, Numerical Methods for Large Eigenvalue Problems, 2011) follow at the end of the
epoch. Codes are scores, divided by the square root of their total variance, so that a typical one has norm 1.
"""

import tensorflow as tf

from glo.model.glo_model import normalize_pixels
from glo.training.methods import autoencoder
from glo.training.methods.steps import Steps
from glo.training.state import Training
from glo.training.step import batch_signature, count_step


def make_steps(training: Training, learned: int) -> Steps:
    """Compile the steps. learned: number of steps, those of whole epochs."""
    model, settings, loss = training.model, training.settings, training.loss
    n, per_epoch = training.size, training.steps_per_epoch
    total, basis, product = (model.state[name] for name in ("sum", "basis", "product"))

    @tf.function(input_signature=batch_signature(model))
    def learn(rows: tf.Tensor, images: tf.Tensor) -> dict[str, tf.Tensor]:
        target, last = normalize_pixels(images), tf.equal((model.step + 1) % per_epoch, 0)
        pixels = tf.reshape(target, [tf.shape(target)[0], -1])
        if model.step < per_epoch:
            total.assign_add(tf.reduce_sum(pixels, axis=0))
        else:
            centred = pixels - total / n
            product.assign_add(tf.matmul(centred, centred @ basis, transpose_a=True))
            if last:
                _set_components(training)
                basis.assign(tf.linalg.qr(product)[0])
                product.assign(tf.zeros_like(product))
        codes = model.companion(target)
        model.table.assign(rows, codes)
        count_step(model, settings)
        return {"loss": loss(model.decode(codes), target)}

    return Steps(learn, autoencoder.make_steps(training, learned).refine)


def _set_components(training: Training) -> None:
    """Set the weights of generator and encoder to the leading Ritz vectors of the covariance in the current basis."""
    model, n = training.model, training.size
    basis, product = model.state["basis"], model.state["product"]
    mean = model.state["sum"] / n
    projected = tf.matmul(basis, product, transpose_a=True) / n
    variances, axes = tf.linalg.eigh((projected + tf.transpose(projected)) / 2)  # ascending
    axes, variances = axes[:, ::-1][:, : model.dimension], variances[::-1][: model.dimension]
    components = tf.matmul(basis, axes)
    scale = tf.sqrt(tf.maximum(tf.reduce_sum(variances), 1e-12))
    decode, encode = model.generator.get_layer("components"), model.companion.get_layer("code")
    decode.kernel.assign(scale * tf.transpose(components))
    decode.bias.assign(mean)
    encode.kernel.assign(components / scale)
    encode.bias.assign(-tf.linalg.matvec(components, mean, transpose_a=True) / scale)
