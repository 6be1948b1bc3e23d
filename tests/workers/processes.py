"""Workers as processes: starting them, finding them, and waiting until all have ended."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from glo.workers.crew import LAUNCHER
from tests.runs import SAME
from tests.support import ROOT

SECONDS = 30  # within which all workers end after one was lost
SETTINGS = ["--dataset", "TOY", *SAME, "--log_every", 5, "--save_every", 4]
# One thread a process, and no time lost to searching for GPUs.
ENVIRONMENT = {"TF_NUM_INTRAOP_THREADS": "1", "CUDA_VISIBLE_DEVICES": "-1"}


@contextlib.contextmanager
def started(home, *args, environment=None):
    """Start trainer.py in the folder `home`; yields the `Popen` object. All its processes are killed in the end."""
    line = [sys.executable, str(ROOT / "trainer.py"), *map(str, args)]
    process = subprocess.Popen(
        line, cwd=home, stderr=subprocess.PIPE, text=True, start_new_session=True,
        env={**os.environ, **ENVIRONMENT, **(environment or {})},
    )  # fmt: skip
    try:
        yield process
    finally:
        for number in [*members(process), process.pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
        process.wait()
        process.stderr.close()


def train(home, *args, timeout=600):
    """Run trainer.py to its end; returns its log. It must succeed."""
    with started(home, *SETTINGS, *args) as process:
        log = process.communicate(timeout=timeout)[1]
        assert process.returncode == 0, log
        return log


def members(launcher):
    """The process numbers of all workers of a launcher and of their watchdogs."""
    numbers = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"{LAUNCHER}={launcher.pid}\0" in (folder / "environ").read_text(errors="replace"):
                state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
                numbers += [int(folder.name)] if state != "Z" else []
    return numbers


def workers(launcher):
    """The process numbers of the workers of a launcher, by index."""
    by_index = {}
    for number in members(launcher):
        with contextlib.suppress(OSError):
            if b"watchdog.py" not in Path(f"/proc/{number}/cmdline").read_bytes():
                by_index[index_of(number)] = number
    return by_index


def index_of(number):
    variables = Path(f"/proc/{number}/environ").read_text().split("\0")
    (config,) = (text.removeprefix("TF_CONFIG=") for text in variables if text.startswith("TF_CONFIG="))
    return json.loads(config)["task"]["index"]


def wait_for(condition, process, seconds=300):
    """Wait until condition() is true and return its value. The process must not end before."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.02)
    return value


def wait_for_end(process, seconds=SECONDS):
    """Wait until a launcher and all its processes have ended; returns its log."""
    log = process.communicate(timeout=seconds)[1]
    deadline = time.monotonic() + 3  # watchdogs outlive their workers for a moment
    while members(process):
        assert time.monotonic() < deadline, members(process)
        time.sleep(0.05)
    return log


def tf_config(addresses, index):
    """The environment of a worker of a cluster."""
    task = {"cluster": {"worker": list(addresses)}, "task": {"type": "worker", "index": index}}
    return {"TF_CONFIG": json.dumps(task)}


def free_addresses(count):
    """Addresses on this machine that are free now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("localhost", 0))) for _ in range(count)]
        return [f"localhost:{listener.getsockname()[1]}" for listener in sockets]
