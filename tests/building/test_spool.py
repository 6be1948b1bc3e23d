"""A temporary copy of some rows on disk."""

import h5py
import numpy as np
import pytest

from glo.building.spool import Spool
from glo.data import safe_hdf5


@pytest.mark.parametrize("rows", [[0], [3, 4, 5], [0, 7, 8, 19], range(20)])
def test_slices_are_the_chosen_rows(tmp_path, monkeypatch, rows):
    monkeypatch.setattr(safe_hdf5, "READ_BYTES", 6 * 2 * 3)  # six images per read: some reads hold none of the rows
    images = np.random.default_rng(0).integers(0, 256, (20, 2, 3, 1), np.uint8)
    rows = np.array(rows)
    with h5py.File(tmp_path / "x.hdf5", "w") as file:
        file["image"] = images
        spool = Spool(file["image"], rows, tmp_path)
    assert (len(spool), spool.shape) == (len(rows), (len(rows), 2, 3, 1))
    for part in (slice(0, 2), slice(1, 3), slice(0, None), slice(0, 100), slice(2, 2)):
        np.testing.assert_array_equal(spool[part], images[rows][part])
    assert [path.name for path in tmp_path.iterdir()] == ["x.hdf5"]  # no file is left behind
