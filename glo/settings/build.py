"""Every setting of download.py: its default, its limits, and what it does."""

from dataclasses import dataclass

from glo.settings.fields import setting
from glo.settings.shared import NAME

DISTRIBUTIONS = ("PCA", "Gaussian", "Uniform")


@dataclass(frozen=True)
class BuildSettings:
    """download.py: which samples to take, and the initial codes to give them."""

    datasets: tuple[str, ...] = setting((), "known datasets to build, see below", metavar="NAME")
    images: str | None = setting(None, "build from a folder of pictures; its subfolders become labels", metavar="DIR")
    npz: str | None = setting(
        None, "build from an .npz file with arrays image [n,h,w(,c)] and, if any, label [n]", metavar="FILE"
    )
    convert: str | None = setting(
        None, "rewrite a dataset folder with one HDF5 group per id as the fast layout", metavar="DIR"
    )
    info: str | None = setting(
        None,
        "show what a dataset in --data_dir holds, and write some of its images to a picture",
        metavar="NAME",
        **NAME,
    )
    verify: str | None = setting(
        None, "read all of a dataset in --data_dir again, and check it", metavar="NAME", **NAME
    )
    name: str | None = setting(None, "name of the dataset built from --images or --npz", **NAME)
    size: str | None = setting(
        None,
        "of pictures: side length in pixels, or HEIGHTxWIDTH (default: 64 for CELEBA and LSUN, else as they are)",
        pattern=r"[1-9]\d*(x[1-9]\d*)?",
        example="64 or 48x64",
        metavar="SIZE",
    )
    channels: int | None = setting(
        None, "of pictures: 1 for grey, 3 for colour (default: grey only if all in a folder are)", choices=(1, 3)
    )
    crop: str | None = setting(
        None,
        "with CELEBA: side of the central square that is kept of the 178 x 218 pixels, or none (default: 108)",
        choices=("108", "178", "none"),
    )
    category: str | None = setting(
        None, "with LSUN: which scenes, such as bedroom", pattern="[a-z][a-z0-9_]{0,39}", example="bedroom"
    )
    yes: bool = setting(False, "with LSUN: do download its archives; that of bedroom has 46 GB")
    labels: str | None = setting(
        None,
        "take images with these labels only: numbers, or names of classes, such as 3,5 or cats,dogs",
        pattern="[^,]+(,[^,]+)*",
        example="3,5",
        metavar="A,B",
    )
    max_samples: int | None = setting(None, "take so many images of each split, at most", low=1)
    source: str | None = setting(
        None, "take a known dataset's files from this folder, not from the network", metavar="DIR"
    )
    mirror: str | None = setting(
        None,
        "try this base URL before the official ones",
        pattern=r"https?://.+/",
        example="http://host/folder/",
        metavar="URL",
    )
    distribution: str = setting("PCA", "distribution of the initial codes", choices=DISTRIBUTIONS)
    dimension: int | None = setting(
        None, "code dimension d (default: 128, or the most that PCA can give)", low=1, high=65536
    )
    pca_samples: int | None = setting(
        None,
        "fit PCA on at most this many training images, a seeded choice (default: twice an image's pixels, "
        "at least 20,000)",
        low=2,
    )
    code_norm: str = setting(
        "ball", "ball: codes within the unit ball; unit: every code divided by its norm", choices=("ball", "unit")
    )
    test_fraction: float = setting(
        0.1, "share of held-out images where the source has no split of its own", low=0, high=0.9
    )
    seed: int = setting(0, "seed of the codes and of the split", low=0, high=2**32 - 1)
    data_dir: str = setting("datasets", "folder of all datasets", metavar="DIR")
    force: bool = setting(False, "replace a dataset that is there already")
    resume: bool = setting(False, "go on with a build that was interrupted")
