"""Locate the damaged rows of a dataset file. HDF5 itself only reports that some checksum is wrong."""

from contextlib import suppress
from pathlib import Path

import h5py
import numpy as np
from tqdm import tqdm

from glo.data import array_layout, ids, safe_hdf5
from glo.runtime import memory, paths
from glo.runtime.errors import UserError

MAX_SPANS = 5  # of consecutive rows that a message lists


def find(path: Path) -> str | None:
    """A description of the first unreadable array of a dataset file, of either layout, and its unreadable rows.

    None if everything can be read.
    """
    # Whatever else is wrong with the file raises the same error when the dataset is read.
    with suppress(UserError), safe_hdf5.opened(path) as file:
        if not array_layout.holds(file):
            return _find_in_groups(file, path)
        for name in array_layout.DTYPES:
            node = safe_hdf5.array(file, name)
            if node is not None and len(rows := _unreadable_rows(node, name, path)):
                return f"'{name}' of {spans(rows)}"
    return None


def spans(rows: np.ndarray) -> str:
    """Format row numbers int64 [n], ascending, as 'row 7' or 'rows 3 to 5, 9'; at most `MAX_SPANS` spans of them."""
    consecutive = np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1)
    listed = [str(span[0]) if len(span) == 1 else f"{span[0]} to {span[-1]}" for span in consecutive[:MAX_SPANS]]
    more = f" and {sum(map(len, consecutive[MAX_SPANS:]))} more" if len(consecutive) > MAX_SPANS else ""
    return f"{'row' if len(rows) == 1 else 'rows'} {', '.join(listed)}{more}"


def _unreadable_rows(node: h5py.Dataset, name: str, path: Path) -> np.ndarray:
    """The rows of unreadable chunks, int64, ascending. Only chunks that are stored in the file are tried."""
    starts: set[int] = set()
    with safe_hdf5.reading(path):
        if node.chunks:
            node.id.chunk_iter(lambda chunk: starts.add(chunk.chunk_offset[0]))
    damaged = []
    for start in tqdm(sorted(starts), desc=f"looking for damage in {name}", unit="block", disable=None, leave=False):
        stop = min(start + node.chunks[0], len(node))
        if not _readable(node, slice(start, stop), path):
            damaged += range(start, stop)
    return np.array(damaged, np.int64)


def _find_in_groups(file: h5py.File, path: Path) -> str | None:
    """The same as `find`, for the layout with a group per image."""
    for row, image_id in enumerate(ids.read(path.with_name(paths.ID_FILE)) or []):
        group = safe_hdf5.child(file, image_id)
        for name in ("image", "code"):
            node = safe_hdf5.array(group, name) if isinstance(group, h5py.Group) else None
            if node is not None and not _readable(node, slice(None), path):
                return f"{name} of row {row} (id '{image_id}')"
    return None


def _readable(node: h5py.Dataset, rows: slice, path: Path) -> bool:
    count = len(range(*rows.indices(len(node))))
    memory.require(count * safe_hdf5.size(node) // len(node) * node.dtype.itemsize, str(path))
    try:
        with safe_hdf5.reading(path):
            node[rows]
    except UserError:
        return False
    return True
