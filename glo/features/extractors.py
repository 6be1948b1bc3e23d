"""Feature extractors: networks whose features are used to compare generated images with real ones.

None of them gives FID. FID is defined with the Inception network of 2015, whose pooling differs and whose inputs are
resized without anti-aliasing: `frechet_inception_v3` differs from FID even with the same weights. Names of results
therefore contain the name of the extractor, and only results of the same name are comparable.
"""

from functools import partial
from pathlib import Path
from typing import Any, Protocol

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from glo.data.dataset import Dataset
from glo.data.lazy_array import Rows
from glo.features import weights
from glo.features.classifier import Classifier
from glo.features.cnn import TrainedExtractor
from glo.features.contrastive import Contrastive
from glo.settings import EvalSettings

# Names of --extractor, which `glo.settings.EXTRACTORS` lists without TensorFlow. Of networks that are trained for a
# dataset: their classes. Of those of keras.applications: the module, which is also the name in results, and the side of
# inputs.
TRAINED: dict[str, type[TrainedExtractor]] = {"classifier": Classifier, "contrastive": Contrastive}
APPLICATIONS = {
    "InceptionV3": ("inception_v3", 299),
    "MobileNetV2": ("mobilenet_v2", 224),
    "ResNet50": ("resnet50", 224),
}
BATCH = 32  # images at once of `Application`: the maps of InceptionV3 take some 30 MB per image


class Extractor(Protocol):
    """A function from images to features.

    name: part of the names of results, such as frechet_classifier. batch: images that `features` gives it at once.
    """

    name: str
    batch: int

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Compute features float32 [B, d] of images uint8 [B, H, W, C]."""

    def describe(self) -> dict[str, Any]:
        """The entry in results: the name, and what identifies the weights."""


class Application:
    """A network of keras.applications: the average of its last map. Images are resized to the size of its inputs."""

    batch = BATCH

    def __init__(self, kind: str, file: Path | None = None, sha256: str = ""):
        """Load the network with the weights of a file, or with those that Keras downloads once and caches.

        kind: a key of `APPLICATIONS`. file: weights as .npz or .h5. sha256: of the file; its first digits become part
        of the name.
        Raises `UserError` if the weights cannot be downloaded or the file holds weights of another network.
        """
        self.name, self._side = APPLICATIONS[kind]
        self._prepare = getattr(keras.applications, self.name).preprocess_input
        shape = self._side, self._side, 3
        build = partial(getattr(keras.applications, kind), include_top=False, input_shape=shape, pooling="avg")
        if file is None:
            self._network = weights.downloaded(build, f"--extractor {kind}", "--extractor contrastive")
        else:
            self._network = build(weights=None)
            shapes = [array.shape for array in self._network.get_weights()]
            self._network.set_weights(weights.read_file(file, shapes))
            self.name += f"_{sha256[:8]}"

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Compute features float32 [B, d] of images uint8 [B, H, W, C], C 1 or 3, which are resized bilinearly."""
        pixels = np.broadcast_to(images, (*images.shape[:3], 3))
        resized = tf.image.resize(pixels, (self._side, self._side), antialias=True)
        return self._network(self._prepare(resized), training=False).numpy()

    def describe(self) -> dict[str, Any]:
        """The entry in results: name and SHA-256 of the weights."""
        return {"name": self.name, "sha256": weights.sha256(self._network.get_weights())}


def make(settings: EvalSettings, dataset: Dataset) -> Extractor:
    """Build the extractor of --extractor: of `TRAINED`, of `APPLICATIONS`, or InceptionV3 with a weights file.

    Raises `UserError` if weights cannot be downloaded or read. The classifier needs labels of two classes or more.
    """
    name = settings.extractor_of(dataset.classes)
    if name in TRAINED:
        return TRAINED[name](dataset)
    if name in APPLICATIONS:
        return Application(name)
    return Application("InceptionV3", Path(settings.extractor), settings.extractor_sha256 or "")


def is_cached(settings: EvalSettings, dataset: Dataset) -> bool:
    """Whether the extractor is one of `TRAINED` that is saved beside the dataset."""
    name = settings.extractor_of(dataset.classes)
    return name in TRAINED and TRAINED[name].is_saved(dataset)


def features(extractor: Extractor, images: np.ndarray | Rows) -> np.ndarray:
    """Compute features float32 [n, d] of images uint8 [n, H, W, C], n > 0, in batches and with a progress bar."""
    starts = range(0, len(images), extractor.batch)
    bar = tqdm(starts, desc=f"features by {extractor.name}", unit="batch", disable=None, leave=False)
    return np.concatenate([extractor(images[start : start + extractor.batch]) for start in bar])
