"""CelebA: 202,599 aligned faces of 178 x 218 pixels with 40 attributes (Liu, Luo, Wang, Tang, ICCV 2015).

Downloads from its Google Drive often fail, because the server sends a web page instead of the file. Then the user has
to download the three files in a browser.
"""

import logging
import os
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path

import numpy as np

from datasets import archive
from datasets.decoding import Collection, Item
from datasets.fetch import RemoteFile, fetch, locate
from datasets.folder import report_links
from glo.building import selection
from glo.data.block import TEST, TRAIN, VALIDATION
from glo.runtime import files
from glo.runtime.errors import UserError
from glo.settings import BuildSettings

DRIVE = "https://drive.usercontent.google.com/download?export=download&confirm=t&id="
# These checksums are published by torchvision.
IMAGES = RemoteFile(
    name="img_align_celeba.zip",
    urls=(f"{DRIVE}0B7EVK8r0v71pZjFTYXZWM3FlRnM",),
    md5="00d2c5bc6d35e252742224ab0c1e8fcb",
    alternatives=("img_align_celeba/",),
)
ATTRIBUTES = RemoteFile(
    name="list_attr_celeba.txt",
    urls=(f"{DRIVE}0B7EVK8r0v71pblRyaVFSWGxPY0U",),
    md5="75e246fa4810816ffd6ee81facbd244c",
)
PARTITION = RemoteFile(
    name="list_eval_partition.txt",
    urls=(f"{DRIVE}0B7EVK8r0v71pY0NSMzRuSXJEVkk",),
    md5="d32c9cbf5e040fd4025c592c306e6668",
)
FILES = (ATTRIBUTES, PARTITION, IMAGES)  # the small files first: if their downloads fail, so would the large one
PAGE = "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html"
SPLITS = {"0": TRAIN, "1": VALIDATION, "2": TEST}
MAX_LIST = 64 << 20  # bytes
DEFAULTS = {"size": "64", "crop": "108"}

log = logging.getLogger("glo")


def check(settings: BuildSettings) -> None:
    """Raise `UserError` for --labels, because CelebA has no labels."""
    if settings.labels:
        raise UserError(f"--labels {settings.labels}: CelebA has attributes and no labels; drop it")


def find(settings: BuildSettings, folder: Path) -> dict[str, Path]:
    """The paths of the three files by name: in `settings.source`, or in <folder>/download after downloading them there.

    Raises `UserError` if a file is missing or a download fails. The message says what to download and where to put it.
    """
    if settings.source:
        return {file.name: locate(file, Path(settings.source)) for file in FILES}
    target = folder / "download"
    try:
        return {file.name: fetch(file, target, settings.mirror) for file in FILES}
    except UserError as error:
        raise UserError(
            f"{error}. Downloads from CelebA's Google Drive often fail: in a browser, download "
            f"Img/img_align_celeba.zip, Anno/list_attr_celeba.txt and Eval/list_eval_partition.txt from {PAGE}, put "
            f"the three files into {target}, and type the same command again"
        ) from None


def collection(settings: BuildSettings, size: tuple[int, int], paths: dict[str, Path]) -> Collection:
    """The faces in the order of their file names, with attributes and the official split.

    settings: `crop` is "108", "178" or "none". size: (height, width) of the images. paths: as `find` returns them.
    Raises `UserError` if the files are damaged or do not belong together.
    """
    attribute_names, attributes = read_attributes(paths[ATTRIBUTES.name])
    splits = read_partition(paths[PARTITION.name])
    images = _images(paths[IMAGES.name])
    for path, listed in ((paths[ATTRIBUTES.name], attributes), (paths[PARTITION.name], splits)):
        if different := images.keys() ^ listed.keys():
            name = min(different)
            problem = f"lists {name}, which is not among the images" if name in listed else f"does not list {name}"
            raise UserError(
                f"{path} {problem} in {paths[IMAGES.name]} ({len(different):,} such names): the files do not belong "
                "together, or one of them is incomplete"
            )
    names = sorted(images)
    chosen = selection.choose(np.array([splits[name] for name in names]), settings.max_samples, settings.seed)
    names = [names[row] for row in chosen]

    def items(skip: int) -> Iterable[Item]:
        for name in islice(names, skip, None):
            yield Item(name, images[name], split=splits[name], attributes=attributes[name])

    crop = None if settings.crop == "none" else int(settings.crop)
    shape = (*size, settings.channels or 3)
    return Collection(str(paths[IMAGES.name]), items, len(names), shape, crop=crop, attribute_names=attribute_names)


def read_attributes(path: Path) -> tuple[list[str], dict[str, np.ndarray]]:
    """Read the names of the A attributes, and for each image by name its attributes int8 [A], 0 or 1.

    The first line of the file is the number of images, the second the names of the attributes. Each of the other lines
    has the name of an image and -1 or 1 for each attribute. Raises `UserError` for a file of another form.
    """
    lines = _lines(path)
    names = lines[1].split() if len(lines) > 1 else []
    if not names or len(set(names)) < len(names) or lines[0].strip() != str(len(lines) - 2):
        raise UserError(
            f"{path}: the first two lines must be the number of images that follow and the names of the attributes"
        )
    signs = {"-1": 0, "1": 1}
    attributes: dict[str, np.ndarray] = {}
    for number, line in enumerate(lines[2:], 3):
        name, *values = line.split()
        try:
            row = np.array([signs[value] for value in values], np.int8)
        except KeyError as error:
            raise UserError(f"{path}, line {number}: attributes are 1 or -1, not {error.args[0][:20]}") from None
        if len(row) != len(names):
            raise UserError(f"{path}, line {number}: {len(row)} values for {len(names)} attributes")
        if name in attributes:
            raise UserError(f"{path}, line {number}: {name} appears twice")
        attributes[name] = row
    return names, attributes


def read_partition(path: Path) -> dict[str, int]:
    """Read the split of each image by name. Raises `UserError` for lines that are not a name and 0, 1 or 2."""
    splits: dict[str, int] = {}
    for number, line in enumerate(_lines(path), 1):
        name, *values = line.split()
        if len(values) != 1 or values[0] not in SPLITS:
            raise UserError(f"{path}, line {number}: must be an image's name and 0 (train), 1 (validation) or 2 (test)")
        if name in splits:
            raise UserError(f"{path}, line {number}: {name} appears twice")
        splits[name] = SPLITS[values[0]]
    return splits


def _lines(path: Path) -> list[str]:
    """The lines that are not blank. Raises `UserError` if the file is too large, an HTML page, or not UTF-8."""
    try:
        text = files.read_text(path, MAX_LIST, "utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}; download it again") from None
    if text.lstrip()[:14].lower().startswith(("<!doctype html", "<html")):
        raise UserError(f"{path} is an HTML page and not the list: download it again from {PAGE}")
    return [line for line in text.splitlines() if line.strip()]


def _images(path: Path) -> dict[str, Path | Callable[[], bytes]]:
    """The pictures by file name: functions that read them from the archive, or their paths in the unpacked folder."""
    try:
        if path.is_dir():
            inner = path / path.name  # some programs unpack the archive into a folder inside a folder of the same name
            folder = inner if inner.is_dir() else path
            log.info("listing the pictures in %s", folder)
            names = [name for name in os.listdir(folder) if name.endswith(".jpg") and name[0] != "."]
            report_links(folder, names)
            images = {name: folder / name for name in names}
        else:
            with files.open_regular(path) as stream:
                if stream.read(1024).lstrip()[:14].lower().startswith((b"<!doctype html", b"<html")):
                    raise UserError(f"{path} is an HTML page and not the archive: download it again from {PAGE}")
            images = archive.pictures(path, ".jpg")
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}; change its permissions") from None
    if not images:
        raise UserError(f"{path} holds no .jpg pictures; is it CelebA's img_align_celeba?")
    return images
