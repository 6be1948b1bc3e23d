"""DIGITS: 1,797 handwritten digits of 8 x 8 pixels. They come with scikit-learn, so that nothing is downloaded."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from datasets.fetch import RemoteFile
from glo.data.block import Block

FILES: tuple[RemoteFile, ...] = ()


def blocks(paths: dict[str, Path] | None = None) -> Iterator[Block]:
    """One block: images [1797, 8, 8, 1], labels 0 to 9, no official split. `paths` is ignored."""
    from sklearn.datasets import load_digits  # this import takes a second, so that other sources do without it

    digits = load_digits()
    images = np.rint(digits.images * (255 / 16)).astype(np.uint8)  # stored values are 0 to 16
    yield Block(images[..., None], labels=digits.target.astype(np.int32))
