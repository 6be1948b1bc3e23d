"""The settings of download.py, with their defaults, limits and help texts."""

from dataclasses import dataclass

from glo.settings.shared import NAME, SEED, code_setting, data_setting, output_setting, task_setting

DISTRIBUTIONS = ("PCA", "Gaussian", "Uniform")


@dataclass(frozen=True)
class BuildSettings:
    """The settings of download.py: where the images come from, which of them are kept, and their initial codes."""

    # tasks
    datasets: tuple[str, ...] = task_setting((), "build known datasets, such as MNIST", metavar="NAME")
    images: str | None = task_setting(
        None, "build a dataset from a folder of pictures; its subfolders become labels", metavar="DIR"
    )
    npz: str | None = task_setting(
        None,
        "build a dataset from an .npz file with arrays image [n,h,w] or [n,h,w,c] and, optionally, label [n]",
        metavar="FILE",
    )
    convert: str | None = task_setting(
        None,
        "rewrite a dataset folder from the older layout, one HDF5 group per id, to the fast layout",
        metavar="DIR",
    )
    info: str | None = task_setting(
        None,
        "describe a dataset in --data_dir, and write some of its images to a picture",
        metavar="NAME",
        **NAME,
    )
    verify: str | None = task_setting(
        None, "read a dataset in --data_dir completely and check it for damage", metavar="NAME", **NAME
    )
    # data
    name: str | None = data_setting(None, "name of the dataset built from --images or --npz", **NAME)
    source: str | None = data_setting(
        None, "read the files of a known dataset from this folder instead of downloading them", metavar="DIR"
    )
    mirror: str | None = data_setting(
        None,
        "download from this base URL first, and from the official ones if that fails",
        pattern=r"https?://.+/",
        example="http://host/folder/",
        metavar="URL",
    )
    size: str | None = data_setting(
        None,
        "resize pictures to this side length in pixels, or HEIGHTxWIDTH (default: 64 for CELEBA and LSUN, otherwise "
        "their own size)",
        pattern=r"[1-9][0-9]{0,4}(x[1-9][0-9]{0,4})?",
        example="64 or 48x64",
        metavar="SIZE",
    )
    channels: int | None = data_setting(
        None, "channels of pictures: 1 for grey, 3 for colour (default: 1 if every picture is grey)", choices=(1, 3)
    )
    crop: str | None = data_setting(
        None,
        "CELEBA: side of the central square to which the 178 x 218 pixels are cropped, or none (default: 108)",
        choices=("108", "178", "none"),
    )
    category: str | None = data_setting(
        None, "LSUN: category of scenes, such as bedroom", pattern="[a-z][a-z0-9_]{0,39}", example="bedroom"
    )
    yes: bool = data_setting(False, "LSUN: confirm the download of its archives (bedroom: 46 GB)")
    labels: str | None = data_setting(
        None,
        "keep only images with these labels: numbers or class names, such as 3,5 or cats,dogs",
        pattern="[^,]+(,[^,]+)*",
        example="3,5",
        metavar="A,B",
    )
    max_samples: int | None = data_setting(
        None, "keep at most this many images of each split, chosen at random by --seed", low=1
    )
    test_fraction: float = data_setting(
        0.1, "share of held-out images, for sources without a split of their own", low=0, high=0.9
    )
    seed: int = data_setting(0, "seed of the initial codes and of every random choice", **SEED)
    # codes
    distribution: str = code_setting("PCA", "distribution of the initial codes", choices=DISTRIBUTIONS)
    dimension: int | None = code_setting(
        None, "code dimension d (default: 128, or the most that PCA allows)", low=1, high=65536
    )
    pca_samples: int | None = code_setting(
        None,
        "fit PCA to at most this many training images, chosen at random (default: twice the pixels of an image, "
        "at least 20,000)",
        low=2,
    )
    code_norm: str = code_setting(
        "ball", "ball: codes lie in the unit ball; unit: every code has norm 1", choices=("ball", "unit")
    )
    # output
    data_dir: str = output_setting("datasets", "folder of all datasets", metavar="DIR")
    force: bool = output_setting(False, "replace an existing dataset, or with --info any contact_sheet.png")
    resume: bool = output_setting(False, "continue an interrupted build")
