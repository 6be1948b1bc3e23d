"""Malicious files, in both layouts: references to other files, objects that are not plain arrays, and huge shapes."""

import os
import socket

import h5py
import numpy as np
import pytest

from glo.building.build import build
from glo.data import safe_hdf5
from glo.data.dataset import read_dataset
from glo.runtime.errors import UserError
from glo.settings import BuildSettings
from tests.support import assert_one_line_error, call, samples, write_flat, write_grouped

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


# --- special files ------------------------------------------------------------------------------------------------


def make_special(path, kind):
    path.unlink(missing_ok=True)
    if kind == "FIFO":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(os.path.relpath(path))
    else:
        path.symlink_to("/dev/zero")


@pytest.mark.parametrize("kind", ["FIFO", "socket", "device"])
@pytest.mark.parametrize("name", ["data.hdf5", "data.hy", "id.txt"])
@pytest.mark.parametrize("command", [("--info",), ("--verify",), ("--convert",)])
def test_special_files_are_refused_at_once(tmp_path, monkeypatch, kind, name, command):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "datasets/CATS"
    write = write_flat if name == "data.hdf5" else write_grouped
    write(folder, *samples(N), **({} if name == "data.hdf5" else {"ids": IDS}))
    make_special(folder / name, kind)
    target = folder if command == ("--convert",) else "CATS"
    assert_one_line_error(call("download.py", *command, target), f"{name}: it is a {kind} and not a regular file")


@pytest.mark.parametrize("name", [".partial-data.hdf5", ".partial.json", ".partial-id.txt"])
@pytest.mark.parametrize("resume", [False, True])
def test_special_files_in_place_of_those_of_an_interrupted_build(tmp_path, name, resume):
    os.mkfifo(tmp_path / name)
    with pytest.raises(UserError, match=f"{name}: it is a FIFO"):
        build(tmp_path, "CATS", "cats", lambda _: [], BuildSettings(resume=resume))


@pytest.mark.parametrize("name", ["data.hdf5", "id.txt"])
def test_folders_in_place_of_files_are_noticed_before_building(tmp_path, name):
    (tmp_path / name).mkdir()

    def blocks(_):
        raise AssertionError("the build has begun")

    with pytest.raises(UserError, match=f"cannot write .*{name}: Is a directory"):
        build(tmp_path, "CATS", "cats", blocks, BuildSettings(force=True))


# --- huge declarations --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", [{"chunks": True}, {"chunks": (1, 256, 256, 3)}, {}])
@pytest.mark.parametrize("name", ["image", "code", "attribute", "label"])
def test_arrays_that_were_never_written(tmp_path, name, layout):
    """They would fit into memory, and HDF5 would read gigabytes of zeros."""
    shapes = {"image": (2000, 256, 256, 3), "code": (2000, 60_000), "attribute": (2000, 60_000), "label": (1 << 27,)}
    if name != "image" and "chunks" in layout and layout["chunks"] is not True:
        layout = {"chunks": (1, *shapes[name][1:])}
    path = write_flat(tmp_path / "CATS", *samples(2000, (2, 2, 1)), attribute=np.zeros((2000, 2)), label=np.zeros(2000))
    with h5py.File(path, "a") as file:
        del file[name]
        file.create_dataset(name, shapes[name], "f4" if name == "code" else "u1", **layout)
    fails((path, "/"), f"'/{name}' declares 0.", "of which the file stores 0.0 GB: it was never written completely")


def test_compressed_arrays_are_read(tmp_path):
    """Nothing is compressed better than black images by deflate."""
    path = write_flat(tmp_path / "CATS", *samples(2))
    with h5py.File(path, "a") as file:
        del file["image"]
        black = np.zeros((2, 3000, 4000, 3), np.uint8)
        file.create_dataset("image", data=black, chunks=(1, 3000, 4000, 3), compression="gzip")
    assert path.stat().st_size < 1 << 20
    assert not read_dataset(path)[0].images.any()


@pytest.mark.parametrize("name", ["schema", "fingerprint", "distribution", "label_names", "attribute_names"])
def test_huge_attributes(tmp_path, name, monkeypatch):
    monkeypatch.setattr(safe_hdf5, "MAX_ATTRIBUTE_BYTES", 1000)
    images, codes = samples(N)
    write_flat(tmp_path / "CATS", images, codes, attributes={name: np.zeros(1001, np.uint8)})
    for mode in ("--info", "--verify"):
        result = call("download.py", mode, "CATS", "--data_dir", tmp_path)
        assert_one_line_error(result, f"the attribute '{name}' of 1001 values is too large")


def test_a_huge_list_of_ids(tmp_path):
    path = write_grouped(tmp_path / "CATS", *samples(N), IDS)
    os.truncate(path.with_name("id.txt"), 1 << 40)
    fails((path, "/"), "id.txt is too large, 1099511627776 bytes, to list the ids of 4 images")
