"""Networks that are trained once for a dataset, on all its training rows, and saved beside it as plain arrays."""

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from glo.data.batches import batches, steps_per_epoch
from glo.data.dataset import Dataset
from glo.data.lazy_array import Rows
from glo.features import weights
from glo.model.schedules import rate_factor
from glo.runtime import files
from glo.runtime.errors import UserError
from glo.runtime.log import logger

BATCH = 128
EPOCHS = 3
MIN_STEPS, MAX_STEPS = 600, 6000  # limits of the number of steps that `EPOCHS` gives
RATE = 2e-3  # initial learning rate


def default_steps(n: int) -> int:
    """The number of training steps of `BATCH` images for n training images."""
    return int(np.clip(EPOCHS * steps_per_epoch(n, BATCH), MIN_STEPS, MAX_STEPS))


def minimize(
    loss: Callable[..., tf.Tensor],
    variables: Sequence[keras.Variable],
    inputs: Iterator[tuple[np.ndarray, ...]],
    signature: Sequence[tf.TensorSpec],
    steps: int,
    name: str,
) -> None:
    """Minimise a loss by Adam with cosine decay of the learning rate to 0, with a progress bar.

    loss: a function of the arrays of a batch, as `signature` describes them, to a scalar. inputs: the batches, at least
    `steps` of them. name: of the network, for the bar.
    """
    optimizer = keras.optimizers.Adam(RATE)
    optimizer.build(variables)

    @tf.function(input_signature=signature)
    def train_step(*batch: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            value = loss(*batch)
        optimizer.apply(tape.gradient(value, variables), variables)

    for step in tqdm(range(steps), desc=f"training the {name}", unit="step", disable=None, leave=False):
        optimizer.learning_rate.assign(RATE * rate_factor(step, steps, "cosine"))
        train_step(*next(inputs))


def learn_labels(network: keras.Model, images: Rows, targets: np.ndarray, seed: int, name: str) -> None:
    """Minimise the cross-entropy of class indices, int32 [n], of images uint8 [n, H, W, C], see `minimize`.

    network: from images uint8 [B, H, W, C] to logits float32 [B, classes]. seed: of the order of the images.
    """
    cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def loss(batch: tf.Tensor, batch_targets: tf.Tensor) -> tf.Tensor:
        return cross_entropy(batch_targets, network(batch, training=True))

    signature = [tf.TensorSpec([None, *images.shape[1:]], tf.uint8), tf.TensorSpec([None], tf.int32)]
    with contextlib.closing(batches(images, BATCH, seed, start=0)) as endless:
        inputs = ((batch, targets[rows]) for rows, batch in endless)
        minimize(loss, network.trainable_variables, inputs, signature, default_steps(len(images)), name)


def key(dataset: Dataset, version: str, labels: np.ndarray | None) -> str:
    """Identify what a network depends on: images, split, labels int32 [N] or None, and the version of its training."""
    digest = hashlib.sha256(f"{version} {dataset.fingerprint}".encode())
    digest.update(dataset.split.tobytes())
    if labels is not None:
        digest.update(np.ascontiguousarray(labels, "<i4").data)
    return digest.hexdigest()[:16]


def load(
    path: Path,
    key: str,
    network: keras.Model,
    name: str,
    valid: Callable[[dict[str, Any]], bool] = lambda description: True,
) -> dict[str, Any] | None:
    """Load saved weights into a network, and return their description; None if there is no file.

    valid: whether the description has what was saved with it. None, with a warning, if the file cannot be used.
    """
    if not os.path.lexists(path):
        return None
    try:
        arrays, description = weights.read(path, [array.shape for array in network.get_weights()])
        if description.get("key") != key or description.get("sha256") != weights.sha256(arrays):
            raise UserError(f"{path} is damaged or belongs to another dataset")
        if not valid(description):
            raise UserError(f"{path} lacks a part of its description")
    except UserError as error:
        logger.warning("%s; the %s is trained again", error, name)
        return None
    network.set_weights(arrays)
    return description


def save(path: Path, key: str, network: keras.Model, name: str, dataset: Dataset, **more: Any) -> None:
    """Save the weights of a network with a description, to which `more` is added; a warning if that is refused."""
    arrays = network.get_weights()
    description = {"key": key, "fingerprint": dataset.fingerprint, **more, "sha256": weights.sha256(arrays)}
    try:
        weights.write(path, arrays, description)
    except files.WriteError as error:
        logger.warning("%s. The %s will be trained again when it is needed", error, name)
