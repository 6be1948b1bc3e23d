"""Headers and sizes of .npz files: both are checked before memory is allocated, whatever they declare."""

import io
import struct
import zipfile

import numpy as np
import pytest

from datasets import archive, npz
from glo.runtime import memory
from glo.runtime.errors import UserError

HEADER = "{'descr': '|u1', 'fortran_order': False, 'shape': (3, 4, 4), }"


def member(header, content=bytes(48), version=1):
    """The bytes of an .npy file with any text as its header."""
    text = header.encode("latin1") + b"\n"
    length = struct.pack("<H" if version == 1 else "<I", len(text))
    return b"\x93NUMPY" + bytes((version, 0)) + length + text + content


def write(path, compression=zipfile.ZIP_STORED, **members):
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, content in members.items():
            file.writestr(f"{name}.npy", content)
    return path


def refused(path):
    with pytest.raises(UserError) as caught:
        list(npz.blocks(path))
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 700
    return str(caught.value)


def test_the_plain_header_is_read(tmp_path):
    (block,) = npz.blocks(write(tmp_path / "x.npz", image=member(HEADER)))
    assert block.images.shape == (3, 4, 4, 1)


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '|u1', 'fortran_order': False, 'shape': (3, 4, 4",
        "{'descr': '|u1', 'fortran_order': False, 'shape': ((((((((",
        "{[]: '|u1', 'fortran_order': False, 'shape': (3, 4, 4)}",
        "{{}: 1}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (True, 12, 4)}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (3, 4, 4.0)}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (-3, -4, 4)}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (0, 4, 4)}",
        f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({'9' * 4000}, 4, 4)}}",
        f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({'9' * 6000}, 4, 4)}}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (3j, 4, 4)}",
        "{'descr': '|u1', 'fortran_order': 1, 'shape': (3, 4, 4)}",
        "{'descr': [('a', '|u1')], 'fortran_order': False, 'shape': (3, 4, 4)}",
        "{'descr': [], 'fortran_order': False, 'shape': (3, 4, 4)}",
        "{'descr': {}, 'fortran_order': False, 'shape': (3, 4, 4)}",
        "{'descr': '|V99999999999', 'fortran_order': False, 'shape': (3, 4, 4)}",
        "{'descr': '|u1,' * 9, 'fortran_order': False, 'shape': (3, 4, 4)}",
        "{'descr': '|O', 'fortran_order': False, 'shape': (3, 4, 4)}",
        "{'descr': '\\N', 'fortran_order': False, 'shape': (3, 4, 4)}",
        "[" * 5000,
        "-" * 5000 + "1",
        "\0",
        "",
        "x" * 70_000,
    ],
    ids=range(24),
)
@pytest.mark.filterwarnings("error")
def test_invalid_headers(tmp_path, header):
    version = 2 if len(header) > 65_000 else 1
    refused(write(tmp_path / "x.npz", image=member(header, version=version)))
    refused(write(tmp_path / "x.npz", image=member(HEADER), label=member(header, version=version)))


def test_a_header_that_declares_gigabytes(tmp_path):
    """At most a small header is read, whatever length it declares and however well it is compressed."""
    content = b"\x93NUMPY\x02\x00" + struct.pack("<I", 1 << 26) + bytes(1 << 26)
    path = write(tmp_path / "x.npz", zipfile.ZIP_DEFLATED, image=content)
    import tracemalloc

    tracemalloc.start()
    try:
        refused(path)
        assert tracemalloc.get_traced_memory()[1] < 1 << 24
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compressions_that_numpy_does_not_write(tmp_path, method):
    """The module zipfile unpacks whole blocks of them, of any size, to return a few bytes."""
    path = write(tmp_path / "x.npz", method, image=member(HEADER))
    assert "compressed in another way" in refused(path)
    readers = archive.pictures(write(tmp_path / "x.zip", method, a=b"picture"), ".npy")
    with pytest.raises(archive.PictureError, match="compressed in another way"):
        readers["a.npy"]()


def test_arrays_together_must_fit_into_free_memory(tmp_path, monkeypatch):
    buffer = io.BytesIO()
    np.savez(buffer, image=np.zeros((1000, 4, 4), np.uint8), label=np.zeros(1000, np.int64))
    path = tmp_path / "x.npz"
    path.write_bytes(buffer.getvalue())
    monkeypatch.setattr(memory, "available", lambda: 24_000)
    assert len(list(npz.blocks(path))) == 1
    monkeypatch.setattr(memory, "available", lambda: 23_999)  # 16,000 of pixels and 8,000 of labels
    monkeypatch.setattr(np.lib.format, "read_array", lambda *_, **__: pytest.fail("memory was allocated"))
    assert "GB of memory" in refused(path)


def test_a_compressed_bomb(tmp_path, monkeypatch):
    """Images do not shrink a hundredfold; small files may, because they are harmless."""
    path = tmp_path / "x.npz"
    np.savez_compressed(path, image=np.zeros((1000, 64, 64), np.uint8))
    assert len(list(npz.blocks(path))) == 1
    monkeypatch.setattr(npz, "SMALL", 1 << 20)
    assert "times as much" in refused(path)
