"""Downloads from a loopback server with faults, and files found in folders."""

import gzip
import hashlib
import logging
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

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
    """Answers by the first folder of the path, and keeps (path, Range) of each request."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen = []
        self.host = f"http://127.0.0.1:{self.server_address[1]}"

    def url(self, fault):
        return f"{self.host}/{fault}/{NAME}"

    def handle_error(self, request, client_address):
        """Clients that hang up are part of the tests."""


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
        asked = self.headers.get("Range")
        self.server.seen.append((self.path, asked))
        start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1]) if asked else 0
        fault = self.path.split("/")[1]
        rest = CONTENT[start:]
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
            self.send(rest[:100_000], 206 if asked else 200, length=len(rest), headers=extent if asked else ())
        elif fault == "breaks-no-range":
            self.send(CONTENT[: 100_000 if len(self.server.seen) < 3 else None], length=len(CONTENT))
        elif fault == "always-breaks":
            self.send(CONTENT[:1000], length=len(CONTENT))
        elif fault == "no-range":
            self.send(CONTENT)
        elif fault == "wrong-range" and asked:
            self.send(CONTENT[7:], 206, headers=[("Content-Range", f"bytes 7-{len(CONTENT) - 1}/{len(CONTENT)}")])
        elif fault == "416" and asked:
            self.send(b"", 416)
        elif fault == "to-file":
            self.send(b"", 302, headers=[("Location", "file:///etc/hostname")])
        elif fault == "to-ftp":
            self.send(b"", 302, headers=[("Location", "ftp://127.0.0.1/x")])
        elif fault == "moved":
            self.send(b"", 302, headers=[("Location", f"/good/{NAME}")])
        else:
            self.send(rest, 206 if asked else 200, headers=extent if asked else ())


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


def check_whole(path, folder):
    assert path == folder / NAME
    assert path.read_bytes() == CONTENT
    assert [left.name for left in folder.iterdir()] == [NAME], "something half-written is left"


@pytest.mark.parametrize("size", [len(CONTENT), None])
@pytest.mark.parametrize(
    "fault",
    ["403", "404", "500", "html", "html-as-bytes", "wrong", "longer", "endless", "always-breaks", "to-file", "to-ftp"],
)
def test_a_bad_mirror_is_followed_by_the_next(server, tmp_path, fault, size):
    folder = tmp_path / "new" / "folder"
    check_whole(fetch(remote(server.url(fault), server.url("good"), size=size), folder), folder)
    assert server.seen[0] == (f"/{fault}/{NAME}", None)


@pytest.mark.parametrize("fault", ["good", "moved", "breaks", "breaks-no-range"])
def test_one_mirror_is_enough(server, tmp_path, fault):
    check_whole(fetch(remote(server.url(fault)), tmp_path), tmp_path)


def test_a_broken_connection_is_resumed_where_it_broke(server, tmp_path):
    fetch(remote(server.url("breaks")), tmp_path)
    assert [asked for _, asked in server.seen] == [None, "bytes=100000-", "bytes=200000-"]


@pytest.mark.parametrize("fault", ["good", "no-range", "wrong-range", "416"])
@pytest.mark.parametrize("size", [len(CONTENT), None])
def test_a_leftover_of_an_earlier_run_is_gone_on_with(server, tmp_path, fault, size):
    (tmp_path / f"{NAME}.part").write_bytes(CONTENT[:250_000])
    check_whole(fetch(remote(server.url(fault), size=size), tmp_path), tmp_path)
    assert server.seen[0][1] == "bytes=250000-"


@pytest.mark.parametrize("leftover", [b"wrong" * 100, bytes(len(CONTENT)), bytes(len(CONTENT) + 1)])
@pytest.mark.parametrize("size", [len(CONTENT), None])
def test_a_bad_leftover_is_fetched_anew(server, tmp_path, leftover, size):
    (tmp_path / f"{NAME}.part").write_bytes(leftover)
    check_whole(fetch(remote(server.url("good"), size=size), tmp_path), tmp_path)


def test_a_whole_leftover_needs_no_request(server, tmp_path):
    (tmp_path / f"{NAME}.part").write_bytes(CONTENT)
    check_whole(fetch(remote(server.url("good")), tmp_path), tmp_path)
    assert server.seen == []


def test_a_right_file_is_used_at_once_and_a_wrong_one_replaced(server, tmp_path):
    (tmp_path / NAME).write_bytes(CONTENT[:-1] + b"?")
    check_whole(fetch(remote(server.url("good")), tmp_path), tmp_path)
    assert len(server.seen) == 1
    check_whole(fetch(remote(server.url("403")), tmp_path), tmp_path)
    assert len(server.seen) == 1


def test_the_given_mirror_comes_first(server, tmp_path):
    fetch(remote(server.url("good")), tmp_path, mirror=f"{server.host}/mine/deep/")
    assert [path for path, _ in server.seen] == [f"/mine/deep/{NAME}"]


def test_all_mirrors_failing_names_each_and_what_to_do(server, tmp_path):
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


def test_wrong_bytes_leave_nothing(server, tmp_path):
    with pytest.raises(UserError, match="wrong bytes"):
        fetch(remote(server.url("wrong")), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_endless_file_is_cut_off(server, tmp_path, monkeypatch):
    monkeypatch.setattr(fetching, "MAX_SIZE", 400_000)
    with pytest.raises(UserError, match="more than 400,000 bytes"):
        fetch(remote(server.url("endless"), size=None), tmp_path)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) == 0


def test_nobody_there(server, tmp_path):
    closed = server.url("good")
    server.shutdown()
    server.server_close()
    with pytest.raises(UserError, match="Connection refused"):
        fetch(remote(closed), tmp_path)


def test_a_folder_that_cannot_be_written(server, tmp_path):
    (tmp_path / "occupied").write_text("a file")
    with pytest.raises(UserError, match=r"cannot write archive\.bin") as caught:
        fetch(remote(server.url("good")), tmp_path / "occupied")
    assert "\n" not in str(caught.value)


def test_a_full_disk(server, tmp_path):
    try:
        (tmp_path / f"{NAME}.part").symlink_to("/dev/full")
        open("/dev/full", "wb").close()
    except OSError:
        pytest.skip("no /dev/full here")
    with pytest.raises(UserError, match="No space left on device; make room"):
        fetch(remote(server.url("good")), tmp_path)


# --- locate -------------------------------------------------------------------------------------------------------


LOCAL = RemoteFile("pictures.gz", (), SHA256, alternatives=("pictures", "pictures.xz"))


@pytest.mark.parametrize("below", [".", "MNIST"])
@pytest.mark.parametrize("name", ["pictures.gz", "pictures", "pictures.xz"])
def test_locate_finds_every_name(tmp_path, caplog, below, name):
    path = tmp_path / below / name
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


def test_locate_refuses_to_guess(tmp_path):
    for folder in ("digits", "clothes"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "pictures").write_bytes(folder.encode())
    with pytest.raises(UserError, match=r"several folders.*pass one of them as --source"):
        locate(LOCAL, tmp_path)


def test_locate_says_what_it_looked_for(tmp_path):
    with pytest.raises(UserError, match=r"none of pictures\.gz, pictures, pictures\.xz"):
        locate(LOCAL, tmp_path)
    with pytest.raises(UserError, match="no such folder"):
        locate(LOCAL, tmp_path / "nowhere")
    (tmp_path / "pictures.gz").write_bytes(CONTENT)
    with pytest.raises(UserError, match="is a file; pass the folder"):
        locate(LOCAL, tmp_path / "pictures.gz")
