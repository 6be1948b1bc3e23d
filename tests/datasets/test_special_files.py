"""FIFOs, devices and sockets in the place of files are refused at once: reading one could wait forever."""

import os
import signal
import socket

import numpy as np
import pytest
from PIL import Image

from datasets import archive, celeba, cifar10, fetch, folder, idx, npz, picture, svhn, transfer
from glo.runtime.errors import UserError
from tests.support import assert_one_line_error, call

SECONDS = 1  # after which a hanging test fails; no refusal comes near it


@pytest.fixture(autouse=True)
def no_hang():
    def fail(*_):
        raise AssertionError(f"no answer within {SECONDS} s")

    previous = signal.signal(signal.SIGALRM, fail)
    signal.alarm(SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, previous)


def fifo(path):
    os.mkfifo(path)
    return path


def device(path):
    path.symlink_to("/dev/zero")  # an endless file
    return path


def unix_socket(path):
    here = os.getcwd()
    os.chdir(path.parent)  # the path of a socket may only be about 100 bytes long
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path.name)
    finally:
        os.chdir(here)
    return path


KINDS = [fifo, device, unix_socket]


@pytest.mark.parametrize("make", KINDS)
@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("x.npz", lambda path: list(npz.blocks(path))),
        ("x.png", lambda path: picture.read_hole(path, (4, 4))),
        ("train-images-idx3-ubyte", lambda path: idx.read(path, 3)),
        ("train_32x32.mat", svhn.read),
        ("cifar-10-binary.tar.gz", lambda path: list(cifar10.blocks({path.name: path}))),
        ("data_batch_1.bin", lambda path: list(cifar10.blocks({cifar10.FILES[0].name: path}))),
        ("img_align_celeba.zip", lambda path: archive.pictures(path, ".jpg")),
        ("list_attr_celeba.txt", celeba.read_attributes),
        ("list_eval_partition.txt", celeba.read_partition),
    ],
)
def test_a_special_file_is_refused(tmp_path, make, name, read):
    path = make(tmp_path / name)
    with pytest.raises(UserError, match="not a regular file") as caught:
        read(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("make", KINDS)
def test_special_files_among_pictures_are_left_out(tmp_path, make, caplog):
    Image.new("L", (4, 4)).save(tmp_path / "a.png")
    make(tmp_path / "b.png")
    images, names = folder.read(tmp_path, (4, 4), 1)
    assert (images.shape, names) == ((1, 4, 4, 1), ["a.png"])
    assert "unreadable: b.png: it is a" in caplog.text
    assert "1 of 2 pictures" in caplog.text


@pytest.mark.parametrize("make", KINDS)
def test_a_special_file_in_place_of_a_partial_download(tmp_path, make):
    """The download would wait for a reader of the FIFO, or fill the device."""
    file = fetch.RemoteFile("x.gz", ("http://127.0.0.1:1/x.gz",), sha256="0" * 64)
    make(tmp_path / "x.gz.part")
    with pytest.raises(UserError, match="not a regular file"):
        fetch.fetch(file, tmp_path)
    with pytest.raises(OSError, match="not a regular file"):
        transfer.download(file.urls[0], tmp_path / "x.gz.part", None, 100)


@pytest.mark.parametrize("make", KINDS)
def test_special_files_at_the_command_line(tmp_path, monkeypatch, make):
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "x")
    assert_one_line_error(
        call("download.py", "--npz", "x", "--name", "A"), "x cannot be read: it is a", "not a regular file"
    )
    assert_one_line_error(call("download.py", "--images", "x", "--name", "A"), "x is not a folder")
    assert_one_line_error(call("download.py", "--datasets", "MNIST", "--source", "x"), "no such folder: x")
    make(tmp_path / "data_batch_2.bin")
    records = np.zeros((2, cifar10.RECORD), np.uint8)
    (tmp_path / "data_batch_1.bin").write_bytes(records.tobytes())
    result = call("download.py", "--datasets", "CIFAR10", "--source", ".")
    assert_one_line_error(result, "cannot read data_batch_2.bin: it is a", "not a regular file")
