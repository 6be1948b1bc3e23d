"""A block of samples on its way from a source into a dataset file, or out of it again."""

from dataclasses import dataclass

import numpy as np

from glo.data.lazy_array import Stored

TRAIN, TEST, VALIDATION = 0, 1, 2


@dataclass(frozen=True)
class Block:
    """Samples in row order. Every block of one source has the same H, W, C and the same optional fields.

    images: uint8 [n, H, W, C], C is 1 or 3.
    split: uint8 [n], `TRAIN`, `TEST` or `VALIDATION`; None where the source has no official split.
    labels: int32 [n]; None where there are none.
    ids: n strings without line breaks; None numbers the rows.
    codes: float32 [n, d], codes that come with the data; None where they are still to be made.
    attributes: int8 [n, A], 1 where the image has the attribute, else 0; None where there are none.
    taken: how many of the source's items the block used up, unreadable ones with it; None if the source cannot go on
        from the middle.
    """

    images: np.ndarray | Stored
    split: np.ndarray | None = None
    labels: np.ndarray | None = None
    ids: list[str] | None = None
    codes: np.ndarray | Stored | None = None
    attributes: np.ndarray | None = None
    taken: int | None = None
