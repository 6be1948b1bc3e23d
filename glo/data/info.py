"""A summary of a dataset file for the user: figures as lines of text, and a contact sheet of some images."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from glo import pictures
from glo.data import array_layout, safe_hdf5
from glo.data.block import TEST, TRAIN, VALIDATION, Block
from glo.data.dataset import parts, read_dataset
from glo.data.names import label_name, printable
from glo.data.randomness import Stream, permutation
from glo.runtime import files, memory, paths

MAX_SHOWN = 64  # images on the contact sheet
MAX_LISTED = 100  # labels in the table
QUANTILES = (0.05, 0.5, 0.95)
TOLERANCE = 1e-4  # of the norm of codes on the unit sphere, which are projected in float32
SPLITS = {"train": TRAIN, "test": TEST, "validation": VALIDATION}


@dataclass(frozen=True)
class Contents:
    """The contents of a dataset file.

    attributes: those file attributes that are single values, as strings.
    explained_variance_ratio: share of the variance of the images that the codes explain, in [0, 1]; None if unknown.
    unchecked: what has no checksums, as `array_layout.unchecked` returns it; None for the older layout.
    """

    path: Path
    block: Block
    fingerprint: str
    attributes: dict[str, str]
    explained_variance_ratio: float | None
    label_names: tuple[str, ...]
    attribute_names: tuple[str, ...]
    unchecked: list[str] | None


def read(path: Path) -> Contents:
    """Read a dataset file of either layout. With the fast layout, images and codes stay in the file.

    Raises `UserError` if the file is damaged or inconsistent.
    """
    with safe_hdf5.opened(path) as file:
        fast_layout = array_layout.holds(file)
        attributes = {name: safe_hdf5.attribute(file, name) for name in file.attrs if name != safe_hdf5.TEXTS}
        unchecked = array_layout.unchecked(file) if fast_layout else None
        label_names = array_layout.names(file, "label_names")
        attribute_names = array_layout.names(file, "attribute_names")
    scalars = {name: value for name, value in attributes.items() if value is not None and np.ndim(value) == 0}
    block, fingerprint = read_dataset(path, 0 if fast_layout else None)
    ratio = scalars.get("explained_variance")
    ratio = float(ratio) if isinstance(ratio, np.floating) and 0 <= ratio <= 1 else None
    attributes = {name: printable(str(value)) for name, value in scalars.items()}
    return Contents(path, block, fingerprint, attributes, ratio, label_names, attribute_names, unchecked)


def describe(contents: Contents) -> str:
    """The summary as lines of text, one for each property of the dataset, with tables of labels and attributes."""
    block, attributes = contents.block, contents.attributes
    n, *shape = block.images.shape
    built = f"{attributes['source']}, seed {attributes.get('seed', '-')}" if "source" in attributes else "elsewhere"
    lines = {
        "file": str(contents.path),
        "fingerprint": printable(contents.fingerprint),
        "built from": built,
        "images": f"{n} of {'x'.join(map(str, shape))}",
        "split": _split(block),
        "codes": f"{block.codes.shape[1]} values each, {_codes(contents)}",
        "labels": _labels(contents),
        "attributes": _attributes(contents),
        "checksums": _checksums(contents.unchecked),
    }
    return "\n".join(f"{name:12} {value}" for name, value in lines.items())


def contact_sheet(contents: Contents, seed: int, force: bool) -> Path:
    """Write a seeded random choice of at most `MAX_SHOWN` images to a picture beside the file. Returns its path.

    force: replace a file of that name even if the toolkit has not written it.
    Raises `UserError` if the images do not fit into memory or are damaged, and `WriteError` if the picture cannot be
    written.
    """
    path = paths.contact_sheet(contents.path.parent)
    if os.path.lexists(path) and not force and not pictures.is_saved(path):
        raise files.WriteError(f"{path} was not written by this toolkit: add --force to replace it")
    images = contents.block.images
    n = min(MAX_SHOWN, len(images))
    # The images, and the picture of them in colour: even a small file can declare images of any size.
    memory.require(4 * n * safe_hdf5.size(images) // len(images), f"a picture of {n} images of {contents.path}")
    rows = np.sort(permutation(len(images), seed, Stream.CONTACT_SHEET)[:n])
    caption = f"{printable(contents.path.parent.resolve().name)}: {n} of {len(images)} images"
    pictures.save(path, pictures.captioned(caption, pictures.grid(images[rows], pictures.columns(n))))
    return path


def _split(block: Block) -> str:
    if block.split is None:
        return "none in the file: training uses a seeded random one"
    counts = np.bincount(block.split, minlength=len(SPLITS))
    return ", ".join(f"{counts[number]} {name}" for name, number in SPLITS.items())


def _codes(contents: Contents) -> str:
    """The origin of the codes, and quantiles of their norms. Only the norms of all codes are kept in memory."""
    codes = contents.block.codes
    slices = parts(codes, "codes")
    norms = np.concatenate([np.linalg.norm(codes[part].astype(np.float64), axis=1) for part in slices])
    origin = contents.attributes.get("distribution", "given")
    if contents.explained_variance_ratio is not None:
        origin += f" explaining {100 * contents.explained_variance_ratio:.1f} % of the variance"
    low, median, high = np.quantile(norms, QUANTILES)
    on_sphere = 100 * np.mean(np.abs(norms - 1) < TOLERANCE)
    quantiles = f"norms {low:.3f}, {median:.3f} and {high:.3f} (5, 50 and 95 %)"
    return f"{origin}, {quantiles}, {on_sphere:.1f} % on the unit sphere"


def _checksums(unchecked: list[str] | None) -> str:
    if unchecked is None:
        return "none: damage to files of the older layout goes unnoticed"
    return f"none of {', '.join(unchecked)}: damage to them may go unnoticed" if unchecked else "of all arrays and ids"


def _labels(contents: Contents) -> str:
    """The number of labels, and a table of the number of images with each label in each split."""
    labels, split = contents.block.labels, contents.block.split
    if labels is None:
        return "none"
    numbers, index = np.unique(labels, return_inverse=True)
    columns = {"images": np.ones(len(labels), bool)}
    if split is not None:
        columns = {name: split == number for name, number in SPLITS.items() if (split == number).any()}
    counts = np.stack([np.bincount(index[rows], minlength=len(numbers)) for rows in columns.values()], axis=1)
    names = [label_name(int(number), contents.label_names) for number in numbers[:MAX_LISTED]]
    width = max(map(len, names))
    lines = [f"{len(numbers)}", f"  {'':{width}}" + "".join(f"{name:>12}" for name in columns)]
    lines += [f"  {name:{width}}" + "".join(f"{n:12}" for n in row) for name, row in zip(names, counts, strict=False)]
    return "\n".join(lines + [f"  and {len(numbers) - MAX_LISTED} more"] * (len(numbers) > MAX_LISTED))


def _attributes(contents: Contents) -> str:
    """The number of attributes, and a table of the share of images with each attribute."""
    attributes, names = contents.block.attributes, contents.attribute_names
    if attributes is None:
        return "none"
    shares = attributes.mean(axis=0)
    shown = [printable(name) for name in names] + [f"(nameless, {index})" for index in range(len(names), len(shares))]
    width = max(map(len, shown))
    lines = [f"  {name:{width}}{100 * share:10.1f} %" for name, share in zip(shown, shares, strict=False)]
    return "\n".join([f"{len(shares)}", *lines])
