"""Verification of a dataset file: read every array completely, and check more than loading a dataset does."""

from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

from glo.data import array_layout, damage, ids, safe_hdf5
from glo.data.block import TEST, TRAIN, VALIDATION, Block
from glo.data.dataset import parts, read_dataset
from glo.data.row_numbers import spans
from glo.runtime import paths
from glo.runtime.errors import UserError

TOLERANCE = 1e-4  # of the norm of a code, because codes are projected in float32


def verify(path: Path) -> Iterator[str]:
    """Check a dataset file of either layout. Yields a line of text for each check that it passes.

    Raises `UserError` for the first check that fails. The message names the damaged array and its rows.
    """
    try:
        yield from _checks(path)
    except UserError:
        if damaged := damage.find(path):
            raise UserError(
                f"{path} is damaged: {damaged} cannot be read or has changed, {safe_hdf5.REBUILD}"
            ) from None
        raise


def _checks(path: Path) -> Iterator[str]:
    with safe_hdf5.opened(path) as file:
        if array_layout.holds(file):
            block, recorded = array_layout.read(file, path, 0)  # images and codes stay in the file
        else:
            block, recorded = read_dataset(path)[0], None
        projected = safe_hdf5.attribute(file, "distribution") not in (None, "given")
        label_names = array_layout.names(file, "label_names")
        attribute_names = array_layout.names(file, "attribute_names")
        checksums = _checksums(file)
    yield _images(block, recorded, path)
    yield _codes(block, projected, path)
    yield _ids(len(block.images), path)
    yield _split(block, path)
    yield _labels(block, label_names, path)
    yield _attributes(block, attribute_names, path)
    yield f"blocks: all read, {checksums}"  # by the checks above


def _images(block: Block, recorded: str | None, path: Path) -> str:
    n, *shape = block.images.shape
    fingerprint = array_layout.Fingerprint(tuple(shape))
    for part in parts(block.images, "images"):
        fingerprint.update(block.images[part])
    if recorded not in (None, fingerprint.hexdigest()):
        raise UserError(
            f"{path} is damaged: its images do not match their fingerprint, though every block of them can be read: "
            f"pixels or the order of rows were changed, {safe_hdf5.REBUILD}"
        )
    result = "no fingerprint is recorded" if recorded is None else "their fingerprint agrees"
    return f"images: {n} of {'x'.join(map(str, shape))}, {result}"


def _codes(block: Block, projected: bool, path: Path) -> str:
    """Check that codes are finite, and that they lie in the unit ball if `projected`.

    Codes that download.py computes are projected when the dataset is built; codes that come with the data are
    projected by training.
    """
    infinite, outside = [], []
    for part in parts(block.codes, "codes"):
        norms = np.linalg.norm(block.codes[part].astype(np.float64), axis=1)
        infinite.append(part.start + np.flatnonzero(~np.isfinite(norms)))
        outside.append(part.start + np.flatnonzero(norms > 1 + TOLERANCE))
    infinite, outside = np.concatenate(infinite), np.concatenate(outside)
    if len(infinite):
        raise UserError(f"{path} is damaged: the code of {spans(infinite)} is not finite, {safe_hdf5.REBUILD}")
    if len(outside) and projected:
        raise UserError(f"{path} is damaged: the code of {spans(outside)} is not in the unit ball, {safe_hdf5.REBUILD}")
    where = f"{len(outside)} outside the unit ball, as they were given" if len(outside) else "all in the unit ball"
    return f"codes: of {block.codes.shape[1]} finite values, {where}"


def _ids(n: int, path: Path) -> str:
    """Check that ids are unique, which `ids.read` does. Loading has checked their number."""
    listed = ids.read(path.with_name(paths.ID_FILE), n)
    return f"ids: {n}, all unique" if listed else f"ids: none listed, the rows are numbered 0 to {n - 1}"


def _split(block: Block, path: Path) -> str:
    """Check that there are training images. Loading has checked the values."""
    if block.split is None:
        return "split: none in the file, training uses a seeded random one"
    counts = np.bincount(block.split, minlength=VALIDATION + 1)
    if not counts[TRAIN]:
        raise UserError(f"{path} holds no training images: no row of 'split' is {TRAIN}")
    return f"split: {counts[TRAIN]} train, {counts[TEST]} test, {counts[VALIDATION]} validation"


def _labels(block: Block, names: tuple[str, ...], path: Path) -> str:
    """Check that every label has a name if there are names."""
    if block.labels is None:
        return "labels: none"
    unnamed = np.flatnonzero((block.labels < 0) | (block.labels >= len(names)))
    if names and len(unnamed):
        raise UserError(
            f"{path}: the label of {spans(unnamed)} is none of the {len(names)} with names, {safe_hdf5.REBUILD}"
        )
    return f"labels: {len(np.unique(block.labels))}, {'with' if names else 'without'} names"


def _attributes(block: Block, names: tuple[str, ...], path: Path) -> str:
    """Check that there are as many attributes as names. Loading has checked the values."""
    count = 0 if block.attributes is None else block.attributes.shape[1]
    if len(names) != count:
        raise UserError(f"{path} names {len(names)} attributes and holds {count}, {safe_hdf5.REBUILD}")
    return f"attributes: {count or 'none'}"


def _checksums(file: h5py.File) -> str:
    """A remark on the checksums, which are compared whenever rows are read."""
    if not array_layout.holds(file):
        return "unchecked, there are no checksums in the older layout"
    unchecked = array_layout.unchecked(file)
    return f"unchecked: {', '.join(unchecked)} without checksums" if unchecked else "their checksums agree"
