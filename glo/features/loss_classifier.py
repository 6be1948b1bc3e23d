"""The network `classifier` of the loss `perceptual`: a small CNN that is trained once for a dataset.

It learns to tell the labels of the dataset apart or, if there are none, to recognise an image among others after it was
altered at random. The extractors `classifier` and `contrastive` are other networks, with other layers and other seeds:
distances in features that a run has minimised would flatter this run.
"""

import keras
import numpy as np
from keras import layers

from glo.data.block import TRAIN
from glo.data.dataset import Dataset
from glo.data.lazy_array import Rows
from glo.features import contrast, trained
from glo.model import geometry
from glo.runtime import paths
from glo.runtime.log import logger

NAME = "network of the loss perceptual"
SEED = 1  # independent of --seed, so that all runs on a dataset have the same network; not that of an extractor
VERSION = 2  # of the network and its training; runs go on only with a network of their version


def load(dataset: Dataset) -> keras.Model:
    """Read the network of a dataset from the file beside the dataset, or train and save it.

    Its inputs are images float32 [B, H, W, C] in [-1, 1], its outputs the maps that `geometry.perceptual_maps` lists,
    float32 [B, h, w, c].
    """
    network, key = _build(dataset.image_shape), trained.key(dataset, f"perceptual {VERSION}", dataset.labels)
    path = paths.perceptual(dataset.path.parent, key)
    if trained.load(path, key, network, NAME) is None:
        rows = np.flatnonzero(dataset.split == TRAIN)
        images = Rows(dataset.images, rows)
        labels = np.zeros(len(rows)) if dataset.labels is None else dataset.labels[rows]
        classes, targets = np.unique(labels, return_inverse=True)
        logger.info("training the %s on %s ...", NAME, dataset.path)
        if len(classes) > 1:
            head = _with_head(network, len(classes))
            trained.learn_labels(head, images, targets.astype(np.int32), SEED, NAME)
        else:
            head, steps = _with_head(network, contrast.EMBEDDING), trained.default_steps(len(images))
            contrast.learn_images(head, images, trained.BATCH, steps, SEED, NAME)
        trained.save(path, key, network, NAME, dataset)
    return network


def _build(image_shape: tuple[int, int, int]) -> keras.Model:
    """Build the network with its initial weights.

    Each kernel that halves a map has 4x4 weights: all pixels then have the same number of paths to the output, so that
    gradients for the image have no checkerboard pattern.
    """
    seeds = np.random.SeedSequence(SEED).generate_state(16).tolist()
    x = inputs = keras.Input(image_shape)
    maps = []
    for (*_, width), seed in zip(geometry.perceptual_maps("classifier", image_shape), seeds, strict=False):
        kernel, stride = (4, 2) if maps else (3, 1)
        initializer = keras.initializers.HeNormal(seed)
        x = layers.Conv2D(width, kernel, stride, "same", use_bias=False, kernel_initializer=initializer)(x)
        x = layers.LeakyReLU(0.2)(layers.BatchNormalization(momentum=0.9)(x))
        maps.append(x)
    return keras.Model(inputs, maps, name="perceptual")


def _with_head(network: keras.Model, outputs: int) -> keras.Model:
    """The network from images uint8 [B, H, W, C], with a linear layer after the average of its last map.

    Its output is float32 [B, outputs].
    """
    (seed,) = np.random.SeedSequence([SEED, 1]).generate_state(1).tolist()
    inputs = keras.Input(network.input.shape[1:], dtype="uint8")
    average = layers.GlobalAveragePooling2D()(network(layers.Rescaling(1 / 127.5, -1)(inputs))[-1])
    return keras.Model(inputs, layers.Dense(outputs, kernel_initializer=keras.initializers.HeNormal(seed))(average))
