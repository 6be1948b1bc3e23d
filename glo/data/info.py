"""What a dataset file holds, for people: numbers as lines of text, and some of its images as a picture."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from glo import pictures
from glo.data import array_layout, safe_hdf5
from glo.data.block import TEST, TRAIN, VALIDATION, Block
from glo.data.dataset import parts, read_dataset
from glo.data.labels import label_name, printable
from glo.data.randomness import Stream, permutation
from glo.runtime import memory, paths

SHOWN = 64  # images of the contact sheet
LISTED = 100  # labels that are listed
QUANTILES = (0.05, 0.5, 0.95)
SLACK = 1e-4  # of the norm of codes on the sphere: they are projected in float32
SPLITS = {"train": TRAIN, "test": TEST, "validation": VALIDATION}


@dataclass(frozen=True)
class Contents:
    """A dataset file.

    attributes: those of the file that are single values, as texts. explained: the share of the variance of the images
    that their codes explain, in [0, 1], if it was recorded.
    """

    path: Path
    block: Block
    fingerprint: str
    attributes: dict[str, str]
    explained: float | None
    label_names: tuple[str, ...]
    attribute_names: tuple[str, ...]


def read(path: Path) -> Contents:
    """Read a file of either layout; images and codes stay in the file unless it is the older one.

    Raises `UserError` for whatever is damaged or inconsistent.
    """
    with safe_hdf5.opened(path) as file:
        fast = array_layout.holds(file)
        single = {name: value for name, value in file.attrs.items() if np.ndim(value) == 0}
        label_names, attribute_names = (
            array_layout.names(file, "label_names"),
            array_layout.names(file, "attribute_names"),
        )
    block, fingerprint = read_dataset(path, 0 if fast else None)
    explained = single.get("explained_variance")
    explained = float(explained) if isinstance(explained, np.floating) and 0 <= explained <= 1 else None
    attributes = {name: printable(str(value)) for name, value in single.items()}
    return Contents(path, block, fingerprint, attributes, explained, label_names, attribute_names)


def describe(contents: Contents) -> str:
    """The numbers, as lines of text."""
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
    }
    return "\n".join(f"{what:12} {told}" for what, told in lines.items())


def contact_sheet(contents: Contents, seed: int) -> Path:
    """Write a seeded choice of `SHOWN` images to a picture beside the file; returns its path."""
    images = contents.block.images
    n = min(SHOWN, len(images))
    # The images, and the picture of them in colour: a small file can announce images of any size.
    memory.require(4 * n * safe_hdf5.size(images) // len(images), f"a picture of {n} images of {contents.path}")
    rows = np.sort(permutation(len(images), seed, Stream.CONTACT_SHEET)[:n])
    caption = f"{printable(contents.path.parent.resolve().name)}: {n} of {len(images)} images"
    path = paths.contact_sheet(contents.path.parent)
    pictures.save(path, pictures.captioned(caption, pictures.grid(images[rows], pictures.columns(n))))
    return path


def _split(block: Block) -> str:
    if block.split is None:
        return "none in the file: training makes a seeded one"
    counts = np.bincount(block.split, minlength=len(SPLITS))
    return ", ".join(f"{counts[number]} {name}" for name, number in SPLITS.items())


def _codes(contents: Contents) -> str:
    """Where they come from, and quantiles of their norms, which are all that is held of them."""
    codes = contents.block.codes
    slices = parts(codes, "codes")
    norms = np.concatenate([np.linalg.norm(codes[part].astype(np.float64), axis=1) for part in slices])
    told = [contents.attributes.get("distribution", "given")]
    if contents.explained is not None:
        told[0] += f" explaining {100 * contents.explained:.1f} % of the variance"
    low, middle, high = np.quantile(norms, QUANTILES)
    told.append(f"norms {low:.3f}, {middle:.3f} and {high:.3f} (5, 50 and 95 %)")
    told.append(f"{100 * np.mean(np.abs(norms - 1) < SLACK):.1f} % on the unit sphere")
    return ", ".join(told)


def _labels(contents: Contents) -> str:
    """A table: how many images of each split have a label."""
    labels, split = contents.block.labels, contents.block.split
    if labels is None:
        return "none"
    numbers, index = np.unique(labels, return_inverse=True)
    columns = {"images": np.ones(len(labels), bool)}
    if split is not None:
        columns = {name: split == number for name, number in SPLITS.items() if (split == number).any()}
    counts = np.stack([np.bincount(index[rows], minlength=len(numbers)) for rows in columns.values()], axis=1)
    names = [label_name(int(number), contents.label_names) for number in numbers[:LISTED]]
    width = max(map(len, names))
    lines = [f"{len(numbers)}", f"  {'':{width}}" + "".join(f"{name:>12}" for name in columns)]
    lines += [f"  {name:{width}}" + "".join(f"{n:12}" for n in row) for name, row in zip(names, counts, strict=False)]
    return "\n".join(lines + [f"  and {len(numbers) - LISTED} more"] * (len(numbers) > LISTED))


def _attributes(contents: Contents) -> str:
    """A table: the share of all images that have an attribute."""
    attributes, names = contents.block.attributes, contents.attribute_names
    if attributes is None:
        return "none"
    shares = attributes.mean(axis=0)
    shown = [printable(name) for name in names] + [f"(nameless, {index})" for index in range(len(names), len(shares))]
    width = max(map(len, shown))
    return "\n".join(
        [
            f"{len(shares)}",
            *(f"  {name:{width}}{100 * share:10.1f} %" for name, share in zip(shown, shares, strict=False)),
        ]
    )
