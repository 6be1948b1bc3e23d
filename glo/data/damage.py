"""Locate the damaged rows of a dataset file. Reading them stops at the first one."""

from contextlib import suppress
from pathlib import Path

import h5py
import numpy as np
from tqdm import tqdm

from glo.data import array_layout, ids, safe_hdf5
from glo.data.lazy_array import LazyArray
from glo.data.row_numbers import spans
from glo.runtime import memory, paths
from glo.runtime.errors import UserError


def find(path: Path) -> str | None:
    """A description of the first damaged array of a dataset file, of either layout, and its damaged rows.

    None if everything can be read and agrees with its checksums.
    """
    # Whatever else is wrong with the file raises the same error when the dataset is read.
    with suppress(UserError), safe_hdf5.opened(path) as file:
        if not array_layout.holds(file):
            return _find_in_groups(file, path)
        for name in array_layout.DTYPES:
            node = safe_hdf5.array(file, name)
            if node is not None and len(rows := _damaged_rows(node, name, path)):
                return f"'{name}' of {spans(rows)}"
    return None


def _damaged_rows(node: h5py.Dataset, name: str, path: Path) -> np.ndarray:
    """The rows of damaged blocks, int64, ascending. Without checksums, only chunks stored in the file are tried."""
    array = LazyArray(path, name, node.dtype, lambda values: values)
    starts: set[int] = set()
    if array.checksums:
        starts, step = set(range(0, len(node), array.checksums.rows)), array.checksums.rows
    elif node.chunks:
        step = node.chunks[0]
        with safe_hdf5.reading(path):
            node.id.chunk_iter(lambda chunk: starts.add(chunk.chunk_offset[0]))
    damaged = []
    for start in tqdm(sorted(starts), desc=f"looking for damage in {name}", unit="block", disable=None, leave=False):
        rows = slice(start, min(start + step, len(node)))
        memory.require(safe_hdf5.rows_bytes(node, rows), str(path))
        try:
            array[rows]
        except UserError:
            damaged += range(rows.start, rows.stop)
    return np.array(damaged, np.int64)


def _find_in_groups(file: h5py.File, path: Path) -> str | None:
    """The same as `find`, for the layout with a group per image."""
    for row, image_id in enumerate(ids.read(path.with_name(paths.ID_FILE), len(file)) or []):
        group = safe_hdf5.child(file, image_id)
        for name in ("image", "code"):
            node = safe_hdf5.array(group, name) if isinstance(group, h5py.Group) else None
            if node is not None and not _readable(node, path):
                return f"{name} of row {row} (id '{image_id}')"
    return None


def _readable(node: h5py.Dataset, path: Path) -> bool:
    memory.require(safe_hdf5.size(node) * node.dtype.itemsize, str(path))
    try:
        with safe_hdf5.reading(path):
            node[()]
    except UserError:
        return False
    return True
