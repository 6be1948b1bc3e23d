"""The sources of images: one module for each, which decodes images to uint8 NHWC with labels and the official split.

A module in `SOURCES` is a dataset of a fixed image size. It defines
    FILES           a tuple of the `datasets.fetch.RemoteFile`s to download; empty if the data come with a dependency
    blocks(paths)   yields `glo.data.block.Block`s, training images before test images; paths: from
                    `RemoteFile.name` to the path of the file
A module in `COLLECTIONS` is a dataset of pictures of any size. It defines
    DEFAULTS                            values of `BuildSettings` fields that the user has not set
    check(settings)                     raises `UserError` for settings that are missing or have no effect
    find(settings, folder)              returns the paths of the dataset's files by name; folder: of the dataset
    collection(settings, size, paths)   returns a `datasets.decoding.Collection`; size: (height, width)
The modules `datasets.folder` and `datasets.npz` read the user's own pictures and arrays.

To add a source, write such a module and list it here.
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
        closest = difflib.get_close_matches(name.upper(), known, n=1)
        hint = f"did you mean {closest[0]}? " if closest else ""
        raise UserError(f"unknown dataset {name}; {hint}known datasets are {', '.join(known)}")
    return importlib.import_module(f"{__name__}.{known[name]}")
