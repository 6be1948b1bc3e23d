"""Weights as plain arrays: they are read as they were written, and any other file is refused with a one-line error."""

import hashlib
import os

import h5py
import numpy as np
import pytest

from glo.features import weights
from glo.runtime.errors import UserError

SHAPES = [(3, 4), (4,), (2, 2, 1)]


def arrays(seed=0):
    random = np.random.default_rng(seed)
    return [random.standard_normal(shape).astype(np.float32) for shape in SHAPES]


def test_arrays_are_read_as_they_were_written(tmp_path):
    weights.write(tmp_path / "w.npz", arrays(), {"accuracy": 0.5})
    read, description = weights.read(tmp_path / "w.npz", SHAPES)
    assert description == {"accuracy": 0.5}
    for array, expected in zip(read, arrays(), strict=True):
        np.testing.assert_array_equal(array, expected)
    np.savez_compressed(tmp_path / "plain.npz", *arrays())
    assert weights.read(tmp_path / "plain.npz", SHAPES)[1] == {}


def test_the_hash_depends_on_values_and_shapes():
    assert weights.sha256(arrays()) == weights.sha256(arrays())
    assert weights.sha256(arrays()) != weights.sha256(arrays(1))
    assert weights.sha256([np.zeros((2, 3))]) != weights.sha256([np.zeros((3, 2))])


def bad_files():
    good = arrays()
    yield "pickled", lambda path: np.savez(path, *good[:2], np.array([{}], object))
    yield "few", lambda path: np.savez(path, *good[:2])
    yield "many", lambda path: np.savez(path, *good, np.zeros(1))
    yield "named", lambda path: np.savez(path, arr_0=good[0], arr_1=good[1], other=good[2])
    yield "transposed", lambda path: np.savez(path, good[0].T, *good[1:])
    yield "nan", lambda path: np.savez(path, good[0] * np.nan, *good[1:])
    yield "texts", lambda path: np.savez(path, np.full((3, 4), "a"), *good[1:])
    yield "bomb", lambda path: np.savez_compressed(path, np.zeros(10**7), *good[1:])
    yield "about", lambda path: np.savez(path, *good, about=np.array("{"))
    yield "empty", lambda path: path.touch()
    yield "noise", lambda path: path.write_bytes(os.urandom(500))
    yield "array", lambda path: np.save(path.open("wb"), good[0])
    yield "folder", lambda path: path.mkdir()


@pytest.mark.parametrize("name", [name for name, _ in bad_files()])
def test_other_npz_files_are_refused(name, tmp_path):
    path = tmp_path / "w.npz"
    dict(bad_files())[name](path)
    with pytest.raises(UserError, match="holds no weights of this network") as caught:
        weights.read(path, SHAPES)
    assert str(path) in str(caught.value)


def test_a_truncated_file_is_refused(tmp_path):
    path = tmp_path / "w.npz"
    weights.write(path, arrays(), {})
    content = path.read_bytes()
    for size in (10, len(content) // 2, len(content) - 3):
        path.write_bytes(content[:size])
        with pytest.raises(UserError, match="holds no weights"):
            weights.read(path, SHAPES)


def write_h5(path, values, names=("conv/kernel:0", "conv/bias:0", "dense/kernel:0")):
    """Write two layers with weights and one without in the layout of Keras 1 and 2."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = np.array([b"input", b"conv", b"dense"])
        for layer, part in (("input", slice(0, 0)), ("conv", slice(0, 2)), ("dense", slice(2, 3))):
            group = file.create_group(layer)
            group.attrs["weight_names"] = np.array([name.encode() for name in names[part]], "S20")
            for name, array in zip(names[part], values[part], strict=True):
                group[name] = array


def test_hdf5_weights_are_read_in_the_order_of_the_attributes(tmp_path):
    write_h5(tmp_path / "w.h5", arrays())
    for array, expected in zip(weights.read_h5(tmp_path / "w.h5", SHAPES), arrays(), strict=True):
        np.testing.assert_array_equal(array, expected)


def test_malicious_or_damaged_hdf5_weights_are_refused(tmp_path):
    path = tmp_path / "w.h5"
    write_h5(tmp_path / "secret.h5", arrays())
    for link in (h5py.ExternalLink("secret.h5", "/conv/conv/bias:0"), h5py.SoftLink("/conv/conv/kernel:0")):
        write_h5(path, arrays())
        with h5py.File(path, "a") as file:
            del file["conv/conv/bias:0"]
            file["conv/conv/bias:0"] = link
        with pytest.raises(UserError, match="is a link, refused"):
            weights.read_h5(path, SHAPES)
    write_h5(path, arrays())
    with h5py.File(path, "a") as file:
        del file["dense/dense"]
    with pytest.raises(UserError, match="no array 'dense/dense/kernel:0'"):
        weights.read_h5(path, SHAPES)
    write_h5(path, [arrays()[0].T, *arrays()[1:]])
    with pytest.raises(UserError, match="array 0"):
        weights.read_h5(path, SHAPES)
    write_h5(path, arrays())
    with pytest.raises(UserError, match="array 2"):
        weights.read_h5(path, [*SHAPES[:2], (5, 5)])
    with pytest.raises(UserError, match="3 arrays, not 2"):
        weights.read_h5(path, SHAPES[:2])
    with h5py.File(path, "w"):
        pass
    with pytest.raises(UserError, match="layer_names"):
        weights.read_h5(path, SHAPES)
    path.write_bytes(b"no HDF5")
    with pytest.raises(UserError, match="give a file of Keras weights"):
        weights.read_h5(path, SHAPES)


def test_verify_compares_the_hash_of_a_file(tmp_path):
    path = tmp_path / "w.npz"
    with pytest.raises(UserError, match="No such file"):
        weights.verify(path, "0" * 64, "--extractor", "--extractor_sha256")
    path.write_bytes(b"weights")
    digest = hashlib.sha256(b"weights").hexdigest()
    weights.verify(path, digest, "--extractor", "--extractor_sha256")
    for expected in (None, "0" * 64):
        with pytest.raises(UserError, match=digest):
            weights.verify(path, expected, "--extractor", "--extractor_sha256")
