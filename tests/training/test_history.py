"""metrics.jsonl: good records are kept, whatever else is in the file."""

import json
import os

import pytest

from glo.runtime import files
from glo.runtime.errors import UserError
from glo.training import history
from glo.training.records import Records

GOOD = [{"step": step, "loss": 1 / step, "seconds": float(step), "images": 8 * step} for step in (1, 2, 3)]
BAD = {
    "no step": b'{"loss": 1}',
    "text": b'{"step": "2", "loss": 1}',
    "bool": b'{"step": true, "loss": 1}',
    "float": b'{"step": 2.0}',
    "negative": b'{"step": -2}',
    "nested": b'{"step": 2, "loss": ' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    "deep": b'{"step": 2, "a": ' * 10_000,
    "list": b'{"step": 2, "loss": [1]}',
    "null": b'{"step": 2, "images": null}',
    "nan": b'{"step": 2, "loss": NaN}',
    "infinite": b'{"step": 2, "seconds": 1e999}',
    "digits": b'{"step": 2, "images": ' + b"9" * 400 + b"}",
    "more digits": b'{"step": ' + b"9" * 5000 + b"}",
    "bytes": b'{"step": 2, "loss\xff": 1}',
    "zeros": bytes(100),
    "cut": b'{"step": 2, "lo',
    "array": b"[2]",
    "long": b'{"step": 2, "' + b"x" * 1_000_000 + b'": 1}',
}


def write(run, *lines):
    (run / "metrics.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))


@pytest.mark.parametrize("name", BAD)
def test_lines_that_are_no_records_are_left_out_and_resuming_keeps_the_others(name, tmp_path, caplog):
    first, *others = (json.dumps(record).encode() for record in GOOD)
    write(tmp_path, first, BAD[name], b"", *others)
    assert history.read(tmp_path) == GOOD
    assert [message.endswith("left out: 1") for message in caplog.messages] == [True]
    Records(tmp_path, 2).close()
    assert [json.loads(line) for line in (tmp_path / "metrics.jsonl").open()] == GOOD[:2]


def test_memory_holds_one_line_at_most(tmp_path, monkeypatch):
    monkeypatch.setattr(history, "MAX_LINE_BYTES", 100)
    sizes = []
    parse = history._record
    monkeypatch.setattr(history, "_record", lambda line: sizes.append(len(line)) or parse(line))
    lines = [json.dumps(record).encode() for record in GOOD]
    write(tmp_path, lines[0], b"{" * 100_000, lines[1], b" " * 99 + b"x", b"{" * 101, lines[2])
    assert history.read(tmp_path) == GOOD
    assert max(sizes) == 101


@pytest.mark.parametrize("kind", ["pipe", "folder", "device", "unreadable"])
def test_a_file_that_cannot_be_read_is_refused_in_one_line(kind, tmp_path, monkeypatch):
    path = tmp_path / "metrics.jsonl"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        write(tmp_path)

        def refuse(*_):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(files, "open_regular", refuse)
    with pytest.raises(UserError, match=r"cannot read .*metrics\.jsonl"):
        history.read(tmp_path)


def test_a_run_without_records_has_none(tmp_path):
    assert history.read(tmp_path) == []
