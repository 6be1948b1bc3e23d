"""Locks on files: one holder at a time, released when its process is killed, and not required of a file system."""

import errno
import fcntl
import logging
import subprocess
import sys

import pytest

from glo.runtime import lock
from tests.support import ROOT


def test_a_second_lock_is_refused_until_the_first_file_is_closed(tmp_path):
    path = tmp_path / "file"
    with lock.acquire(path), pytest.raises(lock.HeldError):
        lock.acquire(path)
    lock.acquire(path).close()


def test_a_lock_ends_with_its_process(tmp_path):
    path = tmp_path / "file"
    program = f"from pathlib import Path\nfrom glo.runtime import lock\nheld = lock.acquire(Path({str(path)!r}))\n"
    line = [sys.executable, "-c", program + "print('ready', flush=True)\ninput()"]
    process = subprocess.Popen(line, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    with pytest.raises(lock.HeldError):
        lock.acquire(path)
    process.kill()
    process.communicate()
    lock.acquire(path).close()


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_without_locks_is_reported(tmp_path, monkeypatch, caplog, number):
    def flock(*_):
        raise OSError(number, "no locks here")

    monkeypatch.setattr(fcntl, "flock", flock)
    monkeypatch.setattr(logging.getLogger("glo"), "propagate", True)
    lock.acquire(tmp_path / "file").close()
    assert "cannot be locked (no locks here)" in caplog.text
