"""Learning without labels: a network learns to recognise an image among others after it was altered at random.

This is SimCLR (Chen, Kornblith, Norouzi, Hinton, ICML 2020). Copies are moved, change their colour, and are cropped.
They are not mirrored, because a mirrored digit or letter is another one.
"""

import contextlib
from collections.abc import Callable, Iterator

import keras
import numpy as np
import tensorflow as tf

from glo.data.augmentation import draw, make_alter
from glo.data.batches import batches
from glo.data.lazy_array import Rows
from glo.data.randomness import Stream, random_generator
from glo.features import trained

ALTERED = "move,color"  # how two copies of an image differ, as in --augment, before they are cropped
LEAST_AREA = 0.3  # of a crop, relative to the image
PART = 64  # images that are altered at once to be recognised
EMBEDDING, TEMPERATURE = 64, 0.2  # dimension in which copies are compared, and divisor of their cosines


def learn_images(network: keras.Model, images: Rows, batch: int, steps: int, seed: int, name: str) -> None:
    """Minimise `contrast` of two altered copies of each of `batch` images at a time, see `trained.minimize`.

    network: from images uint8 [B, H, W, C] to embeddings float32 [B, EMBEDDING]. images: uint8 [n, H, W, C]. seed: of
    the order of the images, and of the copies.
    """
    signature = [tf.TensorSpec([None, *images.shape[1:]], tf.uint8)]
    with contextlib.closing(batches(images, batch, seed, start=0)) as endless:
        trained.minimize(
            lambda copies: contrast(network(copies, training=True)), network.trainable_variables,
            _altered((part for _, part in endless), images.shape[1:], seed), signature, steps, name,
        )  # fmt: skip


def contrast(embeddings: tf.Tensor) -> tf.Tensor:
    """The loss NT-Xent of SimCLR of embeddings float32 [2 B, d], a scalar. Rows i and B + i belong to one image.

    It is the mean cross-entropy of finding the other copy of an image among all other rows, by the cosine divided by
    `TEMPERATURE`.
    """
    unit = tf.math.l2_normalize(embeddings, axis=1)
    n = tf.shape(unit)[0]
    logits = tf.matmul(unit, unit, transpose_b=True) / TEMPERATURE
    logits = tf.linalg.set_diag(logits, tf.fill([n], -1e9))  # a row is not to find itself
    other = tf.math.floormod(tf.range(n) + n // 2, n)
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(other, logits))


def recognised(embed: Callable[[np.ndarray], np.ndarray], images: np.ndarray, seed: int) -> float:
    """The share of images uint8 [n, H, W, C], n > 1, that are recognised: by the cosine, the first altered copy of the
    image is nearer to its second one than to those of all other images.

    embed: computes embeddings float32 [m, d] of images uint8 [m, H, W, C].
    """
    parts = (images[start : start + PART] for start in range(0, len(images), PART))
    pairs = [np.split(embed(copies), 2) for (copies,) in _altered(parts, images.shape[1:], seed)]
    first, second = (np.concatenate(embeddings) for embeddings in zip(*pairs, strict=True))
    lengths = np.linalg.norm(second, axis=1)  # those of `first` do not change which copy is nearest
    cosines = first @ (second / np.maximum(lengths, np.finfo(np.float32).tiny)[:, None]).T
    return float(np.mean(cosines.argmax(axis=1) == np.arange(len(images))))


def _altered(parts: Iterator[np.ndarray], image_shape: tuple[int, int, int], seed: int) -> Iterator[tuple[np.ndarray]]:
    """Yield two altered copies of each image of each batch uint8 [B, H, W, C]: uint8 [2 B, H, W, C]."""
    alter = make_alter(image_shape)
    for step, batch in enumerate(parts):
        pairs = np.concatenate([batch, batch])
        random = random_generator(seed, Stream.CONTRASTED_IMAGES, step)
        moved = alter(pairs, draw(len(pairs), image_shape, ALTERED, random)).astype(np.float32)
        boxes = _boxes(len(pairs), random)
        cropped = tf.image.crop_and_resize(moved, boxes, np.arange(len(pairs)), image_shape[:2]).numpy()
        yield (np.rint(cropped).astype(np.uint8),)


def _boxes(n: int, random: np.random.Generator) -> np.ndarray:
    """Random boxes (top, left, bottom, right), float32 [n, 4] in [0, 1], of an area of at least `LEAST_AREA`."""
    sides = np.sqrt(random.uniform(LEAST_AREA, 1, (n, 1)))
    corners = random.random((n, 2)) * (1 - sides)
    return np.concatenate([corners, corners + sides], axis=1).astype(np.float32)
