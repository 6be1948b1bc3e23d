"""Where images come from: one module for each source, decoded to uint8 NHWC with labels and the official split.

A module of `SOURCES` has
    FILES   what to fetch: a tuple of `datasets.fetch.RemoteFile`, empty if the data come with a dependency
    blocks  paths (`RemoteFile.name` -> where the file lies) -> the `glo.block.Block`s, train before test
Besides them, `datasets.folder` reads a folder of pictures and `datasets.npz` arrays of the user's.

To add a source: write such a module, and name it here.
"""

import difflib
import importlib
from types import ModuleType

from glo.errors import UserError

SOURCES: dict[str, str] = {
    "MNIST": "mnist",
    "FASHION_MNIST": "fashion_mnist",
    "KMNIST": "kmnist",
    "SVHN": "svhn",
    "CIFAR10": "cifar10",
    "DIGITS": "digits",
}


def load(name: str) -> ModuleType:
    """Import the module of the source called `name`, a key of `SOURCES`. Raises `UserError` for any other name."""
    if name not in SOURCES:
        near = difflib.get_close_matches(name.upper(), SOURCES, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise UserError(f"unknown dataset {name}; {hint}known are {', '.join(SOURCES)}")
    return importlib.import_module(f"{__name__}.{SOURCES[name]}")
