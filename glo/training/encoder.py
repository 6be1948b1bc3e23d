"""Training of the encoder of a finished run, with the generator g frozen.

    min over e of  mean of  loss(g(e(x)), x) + CODE_WEIGHT |e(x) - z|^2 / V

x is a training image with its learned code z; V is the variance of the codes. So that the encoder holds for new images,
batches also contain generated pairs: codes of the Gaussian that is fitted to the learned ones, with their images; and
shifted training images, for which the second term is left out, since they have no codes.
"""

import contextlib
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from glo.data.batches import batches
from glo.data.dataset import Dataset
from glo.data.randomness import Stream, random_generator
from glo.model import encoder as network
from glo.model.codes import project
from glo.model.glo_model import GloModel, normalize_pixels
from glo.model.losses import Loss
from glo.model.precision import computing_in
from glo.runtime import paths
from glo.runtime.errors import UserError
from glo.runtime.interrupt import Interrupt
from glo.runtime.log import logger
from glo.samplers.gaussian import Gaussian
from glo.settings import TrainSettings
from glo.training import encoder_file
from glo.training.encoder_file import EncoderManifest
from glo.training.loop import ANNOUNCEMENT
from glo.training.manifest import Manifest
from glo.training.restored import RestoredRun

SHARE = 4  # the run has this many times as many steps; a step costs about as much in both
RATE = 2e-3  # learning rate of Adam, with cosine decay to 0
CODE_WEIGHT = 0.1
GENERATED, SHIFTED = 2, 4  # one generated pair, and one shifted image, for this many training images
SHIFT = 2  # pixels, at most, in each direction
CHECK_EVERY = 50  # steps between checks that the loss is finite


class EncoderTraining:
    """An encoder in training: its network and its optimizer, whose iterations count the steps taken."""

    def __init__(self, model: GloModel, loss: Loss, settings: TrainSettings, codes: np.ndarray, steps: int):
        """loss: that of the settings. codes: learned codes of the training images, float32 [n, d].

        steps: planned number of steps.
        """
        self.steps, self._model, self._seed = steps, model, settings.seed
        self._projection, self._precision = settings.projection, settings.precision
        self.network = network.build(model.image_shape, model.dimension, settings.seed, model.condition_size)
        self.optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(RATE, steps))
        self.optimizer.build(self.network.trainable_variables)
        self._loss, self._gaussian = loss, Gaussian.fit(codes, settings.seed)
        self._variance = max(float(np.trace(self._gaussian.covariance)), np.finfo(np.float32).tiny)
        self._step = tf.function(
            self._update,
            input_signature=[
                tf.TensorSpec([None, *model.image_shape], tf.uint8),
                *[tf.TensorSpec([None, model.dimension], tf.float32)] * 2,
                tf.TensorSpec([None, model.condition_size], tf.float32),
                tf.TensorSpec([2], tf.int32),
            ],
        )

    @property
    def step(self) -> int:
        """Number of steps taken."""
        return int(self.optimizer.iterations)

    def update(self, images: np.ndarray, codes: np.ndarray, conditions: np.ndarray) -> tf.Tensor:
        """Take one step with training images uint8 [B, H, W, C], their codes float32 [B, d] and conditions [B, k].

        Returns the loss, a scalar. Its random numbers depend on the seed and the number of the step alone.
        """
        step = self.step
        random = random_generator(self._seed, Stream.ENCODER_CODES, step)
        noise = random.standard_normal((-(-len(images) // GENERATED), codes.shape[1]), np.float32)
        shift = random_generator(self._seed, Stream.ENCODER_SHIFTS, step).integers(-SHIFT, SHIFT, 2, endpoint=True)
        return self._step(images, codes, noise, conditions, shift.astype(np.int32))

    def _update(
        self, images: tf.Tensor, codes: tf.Tensor, noise: tf.Tensor, conditions: tf.Tensor, shift: tf.Tensor
    ) -> tf.Tensor:
        target = normalize_pixels(images)
        generated_codes = project(self._gaussian.transform(noise, 1.0), self._projection)
        shifted = _shifted(target[: -(-tf.shape(target)[0] // SHIFTED)], shift)
        generated_conditions, shifted_conditions = conditions[: tf.shape(noise)[0]], conditions[: tf.shape(shifted)[0]]
        with (
            tf.GradientTape() as tape,
            computing_in(self.network, self._precision),
            computing_in(self._model.evaluated, self._precision),
        ):
            target = tf.concat([target, self._model.decode(generated_codes, generated_conditions), shifted], axis=0)
            conditions = tf.concat([conditions, generated_conditions, shifted_conditions], axis=0)
            codes = tf.concat([codes, generated_codes], axis=0)
            predicted = network.predict(self.network, target, conditions, training=True)
            # Before the projection, whose gradient along the code is 0: a code outside the ball would stay there.
            errors = tf.reduce_sum(tf.square(predicted[: tf.shape(codes)[0]] - codes), axis=1) / self._variance
            losses = self._loss(self._model.decode(project(predicted, self._projection), conditions), target)
            loss = tf.reduce_mean(losses) + CODE_WEIGHT * tf.reduce_mean(errors)
        weights = self.network.trainable_variables
        self.optimizer.apply(tape.gradient(loss, weights), weights)
        return loss


def _shifted(images: tf.Tensor, shift: tf.Tensor) -> tf.Tensor:
    """Shift images float32 [B, H, W, C] by int32 [2] pixels down and to the right. Border pixels are repeated."""
    height, width = images.shape[1:3]
    rows = tf.clip_by_value(tf.range(height) - shift[0], 0, height - 1)
    columns = tf.clip_by_value(tf.range(width) - shift[1], 0, width - 1)
    return tf.gather(tf.gather(images, rows, axis=1), columns, axis=2)


def planned_steps(saved: Manifest) -> int:
    """The number of steps of the encoder of a checkpoint, see `SHARE`."""
    return max(1, saved.step // SHARE)


def train(prefix: Path, saved: Manifest, dataset: Dataset, max_steps: int | None) -> int:
    """Train the encoder of the checkpoint `prefix`, or continue to, and write it to the run folder.

    saved: the manifest of the checkpoint. max_steps: stop after this many steps in total.
    Returns the exit code: 0, or 128 plus the number of the signal that interrupted training, after a save.
    Raises `UserError` if the file of the encoder cannot be used, or if training diverges.
    """
    run = RestoredRun(prefix, saved, dataset)
    model, settings, codes = run.model, run.settings, run.codes
    training = EncoderTraining(model, run.loss, settings, codes, planned_steps(saved))
    values = encoder_file.variables(training.network, training.optimizer)
    if paths.encoder(prefix).exists():
        training.optimizer.iterations.assign(encoder_file.read(prefix, saved, values).step)
    else:  # predictions are spread around the mean code at first
        training.network.get_layer("code").bias.assign(codes.mean(axis=0))
    end = training.steps if max_steps is None else min(max_steps, training.steps)
    logger.info("%s: steps %d to %d of %d", paths.encoder(prefix), training.step, end, training.steps)
    with (
        Interrupt(lambda: logger.warning(ANNOUNCEMENT)) as interrupt,
        contextlib.closing(batches(dataset.train_images, settings.batch_size, settings.seed, training.step)) as endless,
        tqdm(total=training.steps, initial=training.step, unit="step", desc="encoder", disable=None) as bar,
    ):
        while training.step < end and not interrupt.received:
            rows, images = next(endless)
            loss = training.update(images, codes[rows], model.condition(rows).numpy())
            bar.update()
            if training.step % CHECK_EVERY == 0 or training.step == end:
                if not np.isfinite(loss):
                    raise UserError(f"the loss of the encoder is not finite at step {training.step}: nothing is saved")
                bar.set_postfix(loss=f"{float(loss):.4f}", refresh=False)
    encoder_file.write(prefix, values, EncoderManifest(training.step, training.steps, saved.files))
    if interrupt.received:
        logger.warning("interrupted at step %d; continue with: python trainer.py --checkpoint %s --encoder",
                       training.step, prefix)  # fmt: skip
        return 128 + interrupt.received
    logger.info("the encoder is written to %s; next: python evaler.py --checkpoint %s --encode",
                paths.encoder(prefix), prefix)  # fmt: skip
    return 0
