"""Downloads from a faulty local server, and files that are located in folders."""

import gzip
import hashlib
import io
import logging
import os
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from datasets import fetch as fetching
from datasets import transfer
from datasets.fetch import RemoteFile, fetch, locate
from glo.runtime.errors import UserError

CONTENT = np.random.default_rng(0).bytes(300_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
NAME = "archive.bin"


class Server(ThreadingHTTPServer):
    """A server whose fault is the first folder of the requested path. It records (path, Range) of each request."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests = []
        self.host = f"http://127.0.0.1:{self.server_address[1]}"

    def url(self, fault):
        return f"{self.host}/{fault}/{NAME}"

    def handle_error(self, request, client_address):
        """Ignore errors: some tests close the connection."""


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *arguments):
        pass

    def send(self, body, status=200, kind="application/octet-stream", length=None, headers=()):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if length != "none":
            self.send_header("Content-Length", str(len(body) if length is None else length))
        for key, value in headers:
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        requested = self.headers.get("Range")
        self.server.requests.append((self.path, requested))
        start = int(re.fullmatch(r"bytes=(\d+)-", requested)[1]) if requested else 0
        fault = self.path.split("/")[1]
        remaining = CONTENT[start:]
        extent = [("Content-Range", f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}")]
        if fault in ("403", "404", "500"):
            self.send(b"no", int(fault))
        elif fault == "html":
            self.send(b"<!DOCTYPE html><html>log in first</html>", kind="text/html")
        elif fault == "html-as-bytes":
            self.send(b"\n<!doctype HTML><html>log in first</html>")
        elif fault == "wrong":
            self.send(bytes(len(CONTENT)))
        elif fault == "longer":
            self.send(CONTENT + b"more")
        elif fault == "endless":
            self.send(CONTENT * 3, length="none")
        elif fault == "breaks":  # 100,000 bytes at a time
            status, headers = (206, extent) if requested else (200, ())
            self.send(remaining[:100_000], status, length=len(remaining), headers=headers)
        elif fault == "breaks-no-range":
            self.send(CONTENT[: 100_000 if len(self.server.requests) < 3 else None], length=len(CONTENT))
        elif fault == "always-breaks":
            self.send(CONTENT[:1000], length=len(CONTENT))
        elif fault == "no-range":
            self.send(CONTENT)
        elif fault == "wrong-range" and requested:
            self.send(CONTENT[7:], 206, headers=[("Content-Range", f"bytes 7-{len(CONTENT) - 1}/{len(CONTENT)}")])
        elif fault == "416" and requested:
            self.send(b"", 416)
        elif fault == "to-file":
            self.send(b"", 302, headers=[("Location", "file:///etc/hostname")])
        elif fault == "to-ftp":
            self.send(b"", 302, headers=[("Location", "ftp://127.0.0.1/x")])
        elif fault == "moved":
            self.send(b"", 302, headers=[("Location", f"/good/{NAME}")])
        else:
            self.send(remaining, 206 if requested else 200, headers=extent if requested else ())


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(transfer, "PAUSE", 0.001)
    server = Server()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def remote(*urls, size=300_000):
    return RemoteFile(NAME, urls, SHA256, size)


def check_complete(path, folder):
    assert path == folder / NAME
    assert path.read_bytes() == CONTENT
    assert [entry.name for entry in folder.iterdir()] == [NAME], "a partial file is left"


@pytest.mark.parametrize("size", [len(CONTENT), None])
@pytest.mark.parametrize(
    "fault",
    ["403", "404", "500", "html", "html-as-bytes", "wrong", "longer", "endless", "always-breaks", "to-file", "to-ftp"],
)
def test_after_a_faulty_mirror_the_next_one_is_tried(server, tmp_path, fault, size):
    folder = tmp_path / "new" / "folder"
    check_complete(fetch(remote(server.url(fault), server.url("good"), size=size), folder), folder)
    assert server.requests[0] == (f"/{fault}/{NAME}", None)


@pytest.mark.parametrize("fault", ["good", "moved", "breaks", "breaks-no-range"])
def test_a_mirror_with_a_recoverable_fault(server, tmp_path, fault):
    check_complete(fetch(remote(server.url(fault)), tmp_path), tmp_path)


def test_a_broken_connection_is_resumed_where_it_broke(server, tmp_path):
    fetch(remote(server.url("breaks")), tmp_path)
    assert [requested for _, requested in server.requests] == [None, "bytes=100000-", "bytes=200000-"]


@pytest.mark.parametrize("fault", ["good", "no-range", "wrong-range", "416"])
@pytest.mark.parametrize("size", [len(CONTENT), None])
def test_the_partial_file_of_an_earlier_call_is_continued(server, tmp_path, fault, size):
    (tmp_path / f"{NAME}.part").write_bytes(CONTENT[:250_000])
    check_complete(fetch(remote(server.url(fault), size=size), tmp_path), tmp_path)
    assert server.requests[0][1] == "bytes=250000-"


@pytest.mark.parametrize("partial", [b"wrong" * 100, bytes(len(CONTENT)), bytes(len(CONTENT) + 1)])
@pytest.mark.parametrize("size", [len(CONTENT), None])
def test_a_wrong_partial_file_is_downloaded_again(server, tmp_path, partial, size):
    (tmp_path / f"{NAME}.part").write_bytes(partial)
    check_complete(fetch(remote(server.url("good"), size=size), tmp_path), tmp_path)


def test_a_complete_partial_file_needs_no_request(server, tmp_path):
    (tmp_path / f"{NAME}.part").write_bytes(CONTENT)
    check_complete(fetch(remote(server.url("good")), tmp_path), tmp_path)
    assert server.requests == []


def test_an_official_file_is_used_at_once_and_another_is_replaced(server, tmp_path):
    (tmp_path / NAME).write_bytes(CONTENT[:-1] + b"?")
    check_complete(fetch(remote(server.url("good")), tmp_path), tmp_path)
    assert len(server.requests) == 1
    check_complete(fetch(remote(server.url("403")), tmp_path), tmp_path)
    assert len(server.requests) == 1


def test_the_mirror_of_the_user_is_tried_first(server, tmp_path):
    fetch(remote(server.url("good")), tmp_path, mirror=f"{server.host}/mine/deep/")
    assert [path for path, _ in server.requests] == [f"/mine/deep/{NAME}"]


def test_if_all_mirrors_fail_the_error_lists_the_reasons_and_what_to_do(server, tmp_path):
    file = remote(server.url("403"), server.url("wrong"), server.url("always-breaks"), "ftp://127.0.0.1/x", "nonsense")
    with pytest.raises(UserError) as caught:
        fetch(file, tmp_path)
    text = str(caught.value)
    assert "\n" not in text
    for fragment in (
        f"{server.url('403')}: HTTP 403 Forbidden",
        f"{server.url('wrong')}: wrong bytes",
        f"{server.url('always-breaks')}: broke off after 1,000 of 300,000 bytes",
        "ftp://127.0.0.1/x: unknown url type: ftp",
        "nonsense: not an http or https address",
        f"Get {NAME} another way, put it in a folder, and pass --source FOLDER",
    ):
        assert fragment in text
    assert not (tmp_path / NAME).exists()


def test_a_file_with_a_wrong_checksum_is_removed(server, tmp_path):
    with pytest.raises(UserError, match="wrong bytes"):
        fetch(remote(server.url("wrong")), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_file_without_end_is_refused(server, tmp_path, monkeypatch):
    monkeypatch.setattr(fetching, "MAX_SIZE", 400_000)
    with pytest.raises(UserError, match="more than 400,000 bytes"):
        fetch(remote(server.url("endless"), size=None), tmp_path)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) == 0


def test_a_server_that_does_not_answer(server, tmp_path):
    url = server.url("good")
    server.shutdown()
    server.server_close()
    with pytest.raises(UserError, match="Connection refused"):
        fetch(remote(url), tmp_path)


def test_a_folder_that_cannot_be_written(server, tmp_path):
    (tmp_path / "occupied").write_text("a file")
    with pytest.raises(UserError, match=r"cannot write .*archive\.bin") as caught:
        fetch(remote(server.url("good")), tmp_path / "occupied")
    assert "\n" not in str(caught.value)


def test_a_full_disk(server, tmp_path, monkeypatch):
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    monkeypatch.setattr(Path, "open", lambda _, mode: io.FileIO("/dev/full", mode))
    with pytest.raises(UserError, match="No space left on device; free some space"):
        fetch(remote(server.url("good")), tmp_path)


# --- locate -------------------------------------------------------------------------------------------------------


LOCAL = RemoteFile("pictures.gz", (), SHA256, alternatives=("pictures", "pictures.xz"))


@pytest.mark.parametrize("subfolder", [".", "MNIST"])
@pytest.mark.parametrize("name", ["pictures.gz", "pictures", "pictures.xz"])
def test_locate_accepts_every_name(tmp_path, caplog, subfolder, name):
    path = tmp_path / subfolder / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(CONTENT)
    with caplog.at_level(logging.WARNING, "glo"):
        assert locate(LOCAL, tmp_path) == path
    assert ("not the official archive, checksum not checked" in caplog.text) == (name != "pictures.gz")


def test_locate_warns_of_recompressed_copies(tmp_path, caplog):
    (tmp_path / "pictures.gz").write_bytes(gzip.compress(CONTENT))
    assert locate(LOCAL, tmp_path) == tmp_path / "pictures.gz"
    assert "sha256 is not that of the official file" in caplog.text


def test_locate_prefers_the_folder_itself_then_the_official_copy(tmp_path, caplog):
    for folder, content in (("a", b"other"), ("b", CONTENT)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "pictures.gz").write_bytes(content)
    assert locate(LOCAL, tmp_path) == tmp_path / "b" / "pictures.gz"
    assert caplog.text == ""
    (tmp_path / "pictures").write_bytes(b"mine")
    assert locate(LOCAL, tmp_path) == tmp_path / "pictures"


def test_locate_refuses_several_copies(tmp_path):
    for folder in ("digits", "clothes"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "pictures").write_bytes(folder.encode())
    with pytest.raises(UserError, match=r"several folders.*pass one of them as --source"):
        locate(LOCAL, tmp_path)


def test_locate_errors(tmp_path):
    with pytest.raises(UserError, match=r"none of pictures\.gz, pictures, pictures\.xz"):
        locate(LOCAL, tmp_path)
    with pytest.raises(UserError, match="no such folder"):
        locate(LOCAL, tmp_path / "nowhere")
    (tmp_path / "pictures.gz").write_bytes(CONTENT)
    with pytest.raises(UserError, match="is a file; pass the folder"):
        locate(LOCAL, tmp_path / "pictures.gz")
