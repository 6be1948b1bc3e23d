"""A block of samples: what a source yields, what a dataset file is built from, and what is read from it."""

from dataclasses import dataclass

import numpy as np

from glo.data.lazy_array import LazyArray

TRAIN, TEST, VALIDATION = 0, 1, 2


@dataclass(frozen=True)
class Block:
    """Samples in row order. All blocks of a source have the same H, W, C and the same optional fields.

    images: uint8 [n, H, W, C], where C is 1 or 3.
    split: uint8 [n], `TRAIN`, `TEST` or `VALIDATION`; None if the source has no official split.
    labels: int32 [n]; None if the source has no labels.
    ids: n strings without line breaks; None if the ids are the row numbers.
    codes: float32 [n, d], initial codes that come with the data; None if they are computed later.
    attributes: int8 [n, A], 1 if the image has the attribute, else 0; None if the source has no attributes.
    items_consumed: how many items of the source the block accounts for, including unreadable ones; None if reading the
        source cannot be resumed.
    """

    images: np.ndarray | LazyArray
    split: np.ndarray | None = None
    labels: np.ndarray | None = None
    ids: list[str] | None = None
    codes: np.ndarray | LazyArray | None = None
    attributes: np.ndarray | None = None
    items_consumed: int | None = None
