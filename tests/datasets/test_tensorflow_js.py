"""TensorFlow.js is downloaded once and verified, or named by the user."""

import dataclasses
import hashlib
import http.server
import threading

import pytest

from datasets import tensorflow_js
from glo.runtime.errors import UserError

SCRIPT = b"globalThis.tf = {};"


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A web server that holds SCRIPT, the only mirror; yields the list of requested paths."""
    requested = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            requested.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", str(len(SCRIPT)))
            self.end_headers()
            self.wfile.write(SCRIPT)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/tf.js"
        digest = hashlib.sha256(SCRIPT).hexdigest()
        file = dataclasses.replace(tensorflow_js.FILE, urls=(url,), sha256=digest, size=len(SCRIPT))
        monkeypatch.setattr(tensorflow_js, "FILE", file)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        yield requested
        server.shutdown()


def test_it_is_downloaded_once(server, tmp_path):
    for _ in range(2):
        assert tensorflow_js.read(None) == SCRIPT.decode()
    assert len(server) == 1
    assert (tmp_path / "cache/glo-toolkit/tf.es2017.min.js").read_bytes() == SCRIPT


def test_another_file_is_not_accepted_from_a_mirror(server, monkeypatch):
    monkeypatch.setattr(tensorflow_js, "FILE", dataclasses.replace(tensorflow_js.FILE, sha256="0" * 64))
    with pytest.raises(UserError, match=r"sha256 differs.*--tfjs FILE"):
        tensorflow_js.read(None)


def test_a_named_file_is_used(server, tmp_path, caplog):
    path = tmp_path / "own.js"
    path.write_bytes(SCRIPT)
    assert tensorflow_js.read(str(path)) == SCRIPT.decode()
    assert not caplog.records
    path.write_text("globalThis.tf = null;")
    assert tensorflow_js.read(str(path)) == "globalThis.tf = null;"
    assert "used as it is" in caplog.text
    assert server == []


@pytest.mark.parametrize("content", [b"x</SCRIPT >", b"<!-- x", b"\xff\xfe", None])
def test_files_that_cannot_be_part_of_a_page_are_refused(content, tmp_path):
    path = tmp_path / "own.js"
    if content:
        path.write_bytes(content)
    with pytest.raises(UserError, match=f"--tfjs {path}"):
        tensorflow_js.read(str(path))
