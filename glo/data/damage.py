"""Which rows of a dataset file cannot be read: HDF5 itself only says that some block has another checksum."""

from contextlib import suppress
from pathlib import Path

import h5py
import numpy as np
from tqdm import tqdm

from glo.data import array_layout, ids, safe_hdf5
from glo.runtime import memory, paths
from glo.runtime.errors import UserError

SPANS = 5  # runs of rows that are named, at most


def find(path: Path) -> str | None:
    """The first array of a file of either layout that cannot be read, and its rows, in words; None if all can be."""
    with suppress(UserError), safe_hdf5.opened(path) as file:  # of what is no array at all, loading has told
        if not array_layout.holds(file):
            return _of_groups(file, path)
        for name in array_layout.DTYPES:
            node = safe_hdf5.array(file, name)
            if node is not None and len(rows := _unreadable(node, name, path)):
                return f"'{name}' of {spans(rows)}"
    return None


def spans(rows: np.ndarray) -> str:
    """Ascending row numbers int64 [n] in words: 'row 7', or 'rows 3 to 5, 9'; the first `SPANS` runs of them."""
    runs = np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1)
    named = ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs[:SPANS])
    more = f" and {sum(map(len, runs[SPANS:]))} more" if len(runs) > SPANS else ""
    return f"{'row' if len(rows) == 1 else 'rows'} {named}{more}"


def _unreadable(node: h5py.Dataset, name: str, path: Path) -> np.ndarray:
    """Rows in blocks that cannot be read, int64, ascending. Blocks that the file only announces are left out."""
    starts: set[int] = set()
    with safe_hdf5.reading(path):
        if node.chunks:
            node.id.chunk_iter(lambda block: starts.add(block.chunk_offset[0]))
    damaged = []
    for start in tqdm(sorted(starts), desc=f"looking for damage in {name}", unit="block", disable=None, leave=False):
        stop = min(start + node.chunks[0], len(node))
        if not _readable(node, slice(start, stop), path):
            damaged += range(start, stop)
    return np.array(damaged, np.int64)


def _of_groups(file: h5py.File, path: Path) -> str | None:
    for row, name in enumerate(ids.read(path.with_name(paths.ID_FILE)) or []):
        group = safe_hdf5.child(file, name)
        for what in ("image", "code"):
            node = safe_hdf5.array(group, what) if isinstance(group, h5py.Group) else None
            if node is not None and not _readable(node, slice(None), path):
                return f"{what} of row {row} (id '{name}')"
    return None


def _readable(node: h5py.Dataset, rows: slice, path: Path) -> bool:
    memory.require(
        len(range(*rows.indices(len(node)))) * safe_hdf5.size(node) // len(node) * node.dtype.itemsize, str(path)
    )
    try:
        with safe_hdf5.reading(path):
            node[rows]
    except UserError:
        return False
    return True
