"""Feature extractors, by name: networks in whose features generated images are compared with real ones.

None of them is the network that FID is defined with. That one is Inception of 2015 with changed pooling, and its inputs
are resized without anti-aliasing: `frechet_inception_v3` differs from FID even with the same weights. Results therefore
carry the extractor's name, and are compared with results of that name only.
"""

import contextlib
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from glo.data.dataset import Dataset
from glo.features import weights
from glo.features.classifier import Classifier
from glo.runtime.errors import UserError
from glo.settings import EvalSettings

# Networks of keras.applications: the module that each is in, which is also its name here, and the side of its inputs.
APPLICATIONS = {
    "InceptionV3": ("inception_v3", 299),
    "MobileNetV2": ("mobilenet_v2", 224),
    "ResNet50": ("resnet50", 224),
}
BATCH = 32  # images at once: InceptionV3's maps take some 30 MB for each


class Extractor(Protocol):
    """name: goes into the names of the results, such as frechet_classifier."""

    name: str

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Features float32 [B, d] of images uint8 [B, H, W, C]."""

    def describe(self) -> dict[str, Any]:
        """What results must say of it: its name, and what pins its weights down."""


class Application:
    """A network of keras.applications without its last layer, averaged over the map. Images are resized for it."""

    def __init__(self, kind: str, file: Path | None = None, sha256: str = ""):
        """kind: of `APPLICATIONS`, with the weights that Keras downloads once and keeps, or those of a file.

        sha256: of that file, the first digits of which become part of the name. Raises `UserError` if the weights
        cannot be downloaded, or the file holds others.
        """
        self.name, self._side = APPLICATIONS[kind]
        self._prepare = getattr(keras.applications, self.name).preprocess_input
        shape = self._side, self._side, 3
        build = partial(getattr(keras.applications, kind), include_top=False, input_shape=shape, pooling="avg")
        if file is None:
            self._network = _downloaded(kind, build)
        else:
            self._network = build(weights=None)
            shapes = [array.shape for array in self._network.get_weights()]
            npz = file.suffix == ".npz"
            self._network.set_weights(weights.read(file, shapes)[0] if npz else weights.read_h5(file, shapes))
            self.name += f"_{sha256[:8]}"

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Features float32 [B, d] of images uint8 [B, H, W, C]; grey ones become colour, all are resized bilinearly."""
        pixels = np.broadcast_to(images, (*images.shape[:3], 3))
        resized = tf.image.resize(pixels, (self._side, self._side), antialias=True)
        return self._network(self._prepare(resized), training=False).numpy()

    def describe(self) -> dict[str, Any]:
        """Its name and the SHA-256 of its weights."""
        return {"name": self.name, "sha256": weights.sha256(self._network.get_weights())}


def make(asked: EvalSettings, dataset: Dataset) -> Extractor:
    """The extractor of --extractor: the classifier, one of `APPLICATIONS`, or InceptionV3 with weights of a file."""
    if asked.extractor == "classifier":
        return Classifier(dataset)
    if asked.extractor in APPLICATIONS:
        return Application(asked.extractor)
    return Application("InceptionV3", Path(asked.extractor), asked.extractor_sha256 or "")


def _downloaded(kind: str, build: Callable[..., keras.Model]) -> keras.Model:
    try:
        with contextlib.redirect_stdout(sys.stderr):  # where Keras draws its progress bar
            return build(weights="imagenet")
    except Exception as error:  # Keras raises this very class for a failed download
        raise UserError(
            f"--extractor {kind}: its weights cannot be had ({str(error)[:200]}): the first use needs the network; "
            "try again with it, or use --extractor classifier"
        ) from None


def features(extractor: Extractor, images: np.ndarray) -> np.ndarray:
    """Features float32 [n, d] of images uint8 [n, H, W, C], in batches."""
    starts = range(0, len(images), BATCH)
    shown = tqdm(starts, desc=f"features by {extractor.name}", unit="batch", disable=None, leave=False)
    return np.concatenate([extractor(images[start : start + BATCH]) for start in shown])
