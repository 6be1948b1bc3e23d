"""Starts all workers of one machine as processes, and ends all if one ends. It does not load TensorFlow."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import BinaryIO

from glo.runtime import interrupt, terminal
from glo.workers.crew import LAUNCHER

LAST_SECONDS = 20  # after the end of the first worker that ends, for all others to end
POLL_SECONDS = 0.1
THREADS = "TF_NUM_INTRAOP_THREADS"  # of a worker, unless the user has set it: its share of the cores


def run(command: Sequence[str], count: int) -> int:
    """Run a command as `count` workers, which find each other by TF_CONFIG. Returns the exit code of all.

    The first worker has the terminal. Lines of the others are printed with their numbers. Signals are passed on to all.
    """
    with ExitStack() as stack:
        crew = [stack.enter_context(_worker(command, index, environment))
                for index, environment in enumerate(environments(count))]  # fmt: skip
        relays = [_Relay(index, process.stderr) for index, process in enumerate(crew) if process.stderr]
        with _passing_on(crew) as received:
            first = _wait(crew)
        for relay in relays:
            relay.join()
    codes = [process.returncode for process in crew]
    if codes[0] > 0 or not any(codes):
        return codes[0]
    if received:
        terminal.report("interrupted")
        return 128 + received[0]
    # The first worker could not say why.
    reasons = [relay.error for relay in relays if relay.error]
    ending = f"by signal {-codes[first]}" if codes[first] < 0 else f"with exit code {codes[first]}"
    terminal.report(reasons[0] if reasons else f"error: worker {first} was lost: its process ended {ending}")
    return 2


def environments(count: int) -> Iterator[dict[str, str]]:
    """The environment of each worker."""
    with ExitStack() as stack:  # all ports are reserved until all are known, so that none is given twice
        sockets = [stack.enter_context(socket.create_server(("localhost", 0))) for _ in range(count)]
        addresses = [f"localhost:{listener.getsockname()[1]}" for listener in sockets]
    threads = str(max(1, (os.cpu_count() or 1) // count))
    for index in range(count):
        task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        own = {"TF_CONFIG": json.dumps(task), LAUNCHER: str(os.getpid())}
        yield {THREADS: threads, **os.environ, **own}


@contextmanager
def _worker(command: Sequence[str], index: int, environment: dict[str, str]) -> Iterator[subprocess.Popen]:
    # A session of its own: Ctrl-C reaches the launcher alone, which passes it on, so that no worker gets it twice.
    process = subprocess.Popen(
        [sys.executable, *command],
        env=environment,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE if index else None,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _wait(crew: Sequence[subprocess.Popen]) -> int:
    """Wait until all workers have ended, and return the index of the one that ended first.

    Those that have not ended `LAST_SECONDS` after it are killed.
    """
    while all(process.poll() is None for process in crew):
        time.sleep(POLL_SECONDS)
    first = next(index for index, process in enumerate(crew) if process.poll() is not None)
    deadline = time.monotonic() + LAST_SECONDS
    while any(process.poll() is None for process in crew) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    for process in crew:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return first


@contextmanager
def _passing_on(crew: Sequence[subprocess.Popen]) -> Iterator[list[int]]:
    """Pass signals on to all workers, and yield the list of those that were received."""
    received: list[int] = []

    def handle(number: int, _: object) -> None:
        received.append(number)
        for process in crew:
            if process.poll() is None:
                process.send_signal(number)

    with interrupt.handling(handle):
        yield received


class _Relay(threading.Thread):
    """Prints the lines of a worker with its number. The line of its error is kept: all workers end with one."""

    def __init__(self, index: int, stream: BinaryIO):
        super().__init__(name=f"log of worker {index}", daemon=True)
        self.error: str | None = None
        self._prefix, self._stream = f"worker {index}: ", stream
        self.start()

    def run(self) -> None:
        for line in self._stream:
            text = line.decode("utf-8", "backslashreplace").rstrip("\n")
            if text.startswith("error: "):
                self.error = text
            elif text != "interrupted":
                terminal.report(self._prefix + text)
