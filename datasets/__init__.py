"""Where images come from: one module for each source, decoded to uint8 NHWC with labels and the official split.

A module of `SOURCES` has
    FILES   what to fetch: a tuple of `datasets.fetch.RemoteFile`, empty if the data come with a dependency
    blocks  paths (`RemoteFile.name` -> where the file lies) -> the `glo.data.block.Block`s, train before test
A module of `COLLECTIONS`, which are pictures of any size and in any number, has
    DEFAULTS    settings of `BuildSettings` that None stands for
    check       settings -> None, or `UserError` for those that it has no use for, or lacks
    find        settings, the dataset's folder -> where its files lie, by name
    collection  settings, (height, width), what `find` gave -> a `datasets.decoding.Collection`
Besides them, `datasets.folder` is a collection of the user's pictures, and `datasets.npz` reads arrays of the user's.

To add a source: write such a module, and name it here.
"""

import difflib
import importlib
from types import ModuleType

from glo.runtime.errors import UserError

SOURCES: dict[str, str] = {
    "MNIST": "mnist",
    "FASHION_MNIST": "fashion_mnist",
    "KMNIST": "kmnist",
    "SVHN": "svhn",
    "CIFAR10": "cifar10",
    "DIGITS": "digits",
}
COLLECTIONS: dict[str, str] = {
    "CELEBA": "celeba",
    "LSUN": "lsun",
}


def load(name: str) -> ModuleType:
    """Import the module of the source or collection called `name`. Raises `UserError` for a name that is neither."""
    known = SOURCES | COLLECTIONS
    if name not in known:
        near = difflib.get_close_matches(name.upper(), known, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise UserError(f"unknown dataset {name}; {hint}known are {', '.join(known)}")
    return importlib.import_module(f"{__name__}.{known[name]}")
