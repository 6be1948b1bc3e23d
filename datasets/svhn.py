"""SVHN: house numbers in street views, cropped to 32 x 32 pixels around one digit (Netzer et al.), in MATLAB files."""

import math
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from datasets.fetch import RemoteFile
from datasets.picture import one_line
from glo.data.block import TEST, TRAIN, Block
from glo.runtime import files, memory
from glo.runtime.errors import UserError

HOST = "http://ufldl.stanford.edu/housenumbers/"
FILES = (
    RemoteFile(
        name="train_32x32.mat",
        urls=(f"{HOST}train_32x32.mat",),
        sha256="435e94d69a87fde4fd4d7f3dd208dfc32cb6ae8af2240d066de1df7508d083b8",
        size=182_040_794,
    ),
    RemoteFile(
        name="test_32x32.mat",
        urls=(f"{HOST}test_32x32.mat",),
        sha256="cdce80dfb2a2c4c6160906d0bd7c68ec5a99d7ca4831afa54f09182025b6a75b",
        size=64_275_384,
    ),
)
BLOCK = 4096  # images
MAX_IMAGES = 1_000_000  # in one file; the largest official one has 531,131


def blocks(paths: dict[str, Path]) -> Iterator[Block]:
    """73,257 training and 26,032 test images [n, 32, 32, 3], labels 0 to 9, in blocks of at most `BLOCK`.

    Raises `UserError` if a file is damaged or has another format.
    """
    for file, split in zip(FILES, (TRAIN, TEST), strict=True):
        images, labels = read(paths[file.name])
        for start in range(0, len(labels), BLOCK):
            part = slice(start, start + BLOCK)
            count = len(labels[part])
            pixels = np.ascontiguousarray(images[..., part].transpose(3, 0, 1, 2))
            yield Block(pixels, np.full(count, split, np.uint8), labels[part])


def read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read images uint8 [32, 32, 3, n], in the order of the file, and labels int32 [n], with 0 for label 10.

    Raises `UserError` if the file is damaged or has another format.
    """
    from scipy.io import loadmat, whosmat

    try:
        files.regular_size(path)
        # The headers are checked before memory is allocated for the arrays.
        with warnings.catch_warnings(action="ignore"):  # of damaged files, which are refused below
            headers = {name: (shape, kind) for name, shape, kind in whosmat(str(path))}
            _check(headers)
            memory.require(math.prod(headers["X"][0]), str(path))
            arrays = loadmat(str(path), variable_names=["X", "y"])
        images, labels = arrays["X"], arrays["y"].reshape(-1)
        if images.dtype != np.uint8 or images.shape != headers["X"][0]:
            raise ValueError(f"X is {images.dtype} {images.shape}")
        if not np.isin(labels, np.arange(1, 11)).all():
            raise ValueError("labels are not all from 1 to 10")
    except UserError:
        raise
    except Exception as error:  # SciPy raises many kinds of exceptions for damaged files
        raise UserError(
            f"{path} is not an SVHN file (X 32x32x3xN uint8 and y): {one_line(error)}; download it again"
        ) from error
    return images, np.where(labels == 10, 0, labels).astype(np.int32)


def _check(headers: dict[str, tuple[tuple[int, ...], str]]) -> None:
    """Raise `ValueError` if the variables, given as (shape, type) by name, do not have the shapes and types of SVHN."""
    for name in ("X", "y"):
        if name not in headers:
            raise ValueError(f"it has no variable {name}")
    (shape, kind), (label_shape, label_kind) = headers["X"], headers["y"]
    if len(shape) != 4 or shape[:3] != (32, 32, 3) or kind != "uint8" or not 0 < shape[3] <= MAX_IMAGES:
        raise ValueError(f"X is {kind} {'x'.join(map(str, shape))}")
    numeric = label_kind.startswith(("int", "uint")) or label_kind in ("single", "double")
    if not numeric or label_shape not in ((shape[3], 1), (1, shape[3])):
        raise ValueError(f"y is {label_kind} {'x'.join(map(str, label_shape))} for {shape[3]} images")
