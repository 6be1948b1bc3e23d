"""Feature extractors, by name: networks in whose features generated images are compared with real ones."""

from typing import Any, Protocol

import numpy as np
from tqdm import tqdm

from glo.classifier import Classifier
from glo.data import Dataset
from glo.settings import EvalSettings


class Extractor(Protocol):
    """name: goes into the names of the results, such as frechet_classifier."""

    name: str

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Features float32 [B, d] of images uint8 [B, H, W, C]."""

    def describe(self) -> dict[str, Any]:
        """What results must say of it: its name and what pins its weights down."""


def make(asked: EvalSettings, dataset: Dataset) -> Extractor:
    """The extractor of --extractor. Raises `UserError` if it cannot be had."""
    return Classifier(dataset)


def features(extractor: Extractor, images: np.ndarray, batch_size: int) -> np.ndarray:
    """Features float32 [n, d] of images uint8 [n, H, W, C], in batches."""
    starts = range(0, len(images), batch_size)
    shown = tqdm(starts, desc=f"features by {extractor.name}", unit="batch", disable=None, leave=False)
    return np.concatenate([extractor(images[start : start + batch_size]) for start in shown])
