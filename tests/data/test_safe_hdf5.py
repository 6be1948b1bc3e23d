"""Malicious files, in both layouts: references to other files, objects that are not plain arrays, and huge shapes."""

import h5py
import numpy as np
import pytest

from glo.data.dataset import read_dataset
from glo.runtime.errors import UserError
from tests.support import samples, write_flat, write_grouped

N = 4
IDS = [f"cat{i}" for i in range(N)]


@pytest.fixture(params=["flat", "grouped"])
def place(request, tmp_path):
    """A valid file in either layout, and the path inside it of a group with 'image' and 'code'."""
    images, codes = samples(N)
    if request.param == "flat":
        return write_flat(tmp_path / "CATS", images, codes), "/"
    return write_grouped(tmp_path / "CATS", images, codes, IDS), "/cat2"


def replace(place, name, make):
    """Replace an array by the object that `make(group, old_values, name)` creates."""
    path, group_name = place
    with h5py.File(path, "a") as file:
        group = file[group_name]
        values = group[name][()]
        del group[name]
        make(group, values, name)


def fails(place, *words):
    with pytest.raises(UserError) as caught:
        read_dataset(place[0])
    for word in (place[0].parent, *words):
        assert str(word) in str(caught.value)


@pytest.mark.parametrize("name", ["image", "code"])
@pytest.mark.parametrize("target", ["there", "missing file", "missing name"])
def test_external_links(place, name, target, tmp_path):
    def make(group, values, key):
        with h5py.File(tmp_path / "other.hdf5", "w") as other:
            other["secret"] = values
        file = "nowhere.hdf5" if target == "missing file" else tmp_path / "other.hdf5"
        group[key] = h5py.ExternalLink(str(file), "nothing" if target == "missing name" else "secret")

    replace(place, name, make)
    fails(place, f"/{name}' is a link, refused")


@pytest.mark.parametrize("name", ["image", "code"])
@pytest.mark.parametrize("dangling", [False, True])
def test_soft_links(place, name, dangling):
    def make(group, values, key):
        if not dangling:
            group.file.create_group("extra")["there"] = values
        group[key] = h5py.SoftLink("/extra/there")

    replace(place, name, make)
    if place[1] != "/" and not dangling:
        fails(place, "1 ids that id.txt does not list, the first is 'extra'")
    else:
        fails(place, f"/{name}' is a link, refused")


@pytest.mark.parametrize("kind", [h5py.SoftLink("/cat0"), h5py.ExternalLink("other.hdf5", "/")])
def test_links_in_place_of_groups(tmp_path, kind):
    path = write_grouped(tmp_path / "CATS", *samples(N), IDS)
    with h5py.File(tmp_path / "CATS" / "other.hdf5", "w") as other:
        other["image"], other["code"] = (values[0] for values in samples(N))
    with h5py.File(path, "a") as file:
        del file["cat2"]
        file["cat2"] = kind
    fails((path, "/"), "'/cat2' is a link, refused")


@pytest.mark.parametrize("name", ["image", "code"])
def test_links_are_not_followed_to_detect_the_layout(tmp_path, name):
    """Merely opening the target of a link can do harm: opening a FIFO, for example, waits for its writer."""
    path = write_flat(tmp_path / "CATS", *samples(N))
    with h5py.File(path, "a") as file:
        del file[name]
        file[name] = h5py.ExternalLink("/dev/tty", "secret")
    fails((path, "/"), "is a link, refused")


@pytest.mark.parametrize("name", ["image", "code"])
def test_external_storage(place, name, tmp_path):
    def make(group, values, key):
        (tmp_path / "secret").write_bytes(values.tobytes())
        outside = [(str(tmp_path / "secret"), 0, values.nbytes)]
        group.create_dataset(key, values.shape, values.dtype, external=outside)

    replace(place, name, make)
    fails(place, f"/{name}' has its data in another file, refused")


@pytest.mark.parametrize("name", ["image", "code"])
def test_virtual_arrays(place, name, tmp_path):
    def make(group, values, key):
        with h5py.File(tmp_path / "other.hdf5", "w") as other:
            other["secret"] = values
        layout = h5py.VirtualLayout(values.shape, values.dtype)
        layout[...] = h5py.VirtualSource(str(tmp_path / "other.hdf5"), "secret", values.shape)
        group.create_virtual_dataset(key, layout)

    replace(place, name, make)
    fails(place, f"/{name}' has its data in another file, refused")


KINDS = {
    "text": lambda shape: np.full(shape, "x", h5py.string_dtype()),
    "bytes": lambda shape: np.full(shape, b"x", "S3"),
    "lists": lambda shape: np.full(shape, None, h5py.vlen_dtype(np.uint8)),
    "references": lambda shape: np.full(shape, None, h5py.ref_dtype),
    "compound": lambda shape: np.zeros(shape, [("a", "u1"), ("b", "f4")]),
    "bool": lambda shape: np.zeros(shape, bool),
    "complex": lambda shape: np.zeros(shape, complex),
    "opaque": lambda shape: np.zeros(shape, "V4"),
}


@pytest.mark.parametrize("name", ["image", "code"])
@pytest.mark.parametrize("kind", KINDS)
def test_arrays_that_are_not_numeric(place, name, kind):
    def make(group, values, key):
        group.create_dataset(key, values.shape, KINDS[kind](values.shape).dtype)

    replace(place, name, make)
    fails(place, f"/{name}' must hold numbers, not ")


@pytest.mark.parametrize("name", ["image", "code"])
@pytest.mark.parametrize("kind", ["group", "type", "nothing"])
def test_objects_that_are_not_arrays(place, name, kind):
    def make(group, values, key):
        if kind == "group":
            group.create_group(key)
        else:
            group[key] = np.dtype("u1") if kind == "type" else h5py.Empty("f4")

    replace(place, name, make)
    if (place[1], name) == ("/", "image") and kind != "nothing":
        fails(place, "id.txt")  # the file is read as one of the older layout
    else:
        fails(place, f"/{name}' must be an array")


@pytest.mark.parametrize("name", ["image", "code", "label", "split"])
@pytest.mark.parametrize("rows", [1 << 33, 1 << 62])
def test_a_small_flat_file_that_declares_huge_arrays(tmp_path, name, rows):
    """The size of 2^62 rows of 60 bytes would overflow to a small number in 64 bits."""
    path = tmp_path / "data.hdf5"
    with h5py.File(path, "w") as file:
        shapes = {"image": (5, 4, 3), "code": (1 << 16,) if name == "code" else (1,)}
        for key in dict.fromkeys(("image", "code", name)):
            shape = shapes.get(key, ())
            dtype = "f4" if key == "code" else "u1"
            file.create_dataset(key, (rows, *shape), dtype, chunks=(1, *shape))
    assert path.stat().st_size < 100_000
    fails((path, "/"), "GB, of which the file stores 0.0 GB")


@pytest.mark.parametrize("name", ["image", "code"])
def test_a_small_grouped_file_that_declares_huge_arrays(tmp_path, name):
    path = write_grouped(tmp_path / "CATS", *samples(N), IDS)
    shape = (1 << 31, 1 << 31, 3) if name == "image" else (1 << 60,)
    chunks = (1,) * len(shape)
    replace((path, "/cat0"), name, lambda group, _, key: group.create_dataset(key, shape, "f8", chunks=chunks))
    fails((path, "/"), "GB, of which the file stores 0.0 GB")


def test_a_huge_sample_among_small_ones_is_not_read(tmp_path):
    path = write_grouped(tmp_path / "CATS", *samples(N), IDS)
    huge = (1 << 31, 1 << 31, 3)
    replace((path, "/cat3"), "image", lambda group, _, key: group.create_dataset(key, huge, "u1", chunks=(1, 1, 3)))
    fails((path, "/"), "'/cat3/image' declares", "GB, of which the file stores 0.0 GB")
