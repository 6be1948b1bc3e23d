"""SIGINT (Ctrl-C), SIGTERM and SIGHUP (a closed terminal): commands end in order, and training saves before it ends.

A signal that is ignored when a command starts, as SIGHUP is under nohup, stays ignored. Python handles signals in the
main thread only. In any other thread, the context managers here have no effect.
"""

import atexit
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(KeyboardInterrupt):
    """Signal `number` asks the command to end. It unwinds the command as Ctrl-C does, so that files are closed."""

    def __init__(self, number: int):
        super().__init__()
        self.number = number


@contextmanager
def raising() -> Iterator[None]:
    """Raise `Interrupted` at the first signal. The second one ends the process at once, as one does while Python exits.

    While a module is being imported, the first one ends the process as well: extension modules would turn the exception
    into errors of their own.
    """
    received: list[int] = []

    def handle(number: int, frame: FrameType | None) -> None:
        received.append(number)
        if len(received) > 1 or _importing(frame):
            os.write(2, b"interrupted\n")
            os._exit(128 + number)
        raise Interrupted(number)

    with handling(handle) as numbers:
        if signal.SIGINT in numbers:  # Python's own handler would print a traceback while Python exits
            atexit.register(signal.signal, signal.SIGINT, signal.SIG_DFL)
        try:
            yield
        except Exception as error:  # a library has turned the exception into another one
            if received:
                raise Interrupted(received[0]) from error
            raise


@contextmanager
def delayed() -> Iterator[None]:
    """Raise `Interrupted` at the end of a block that an exception in its midst would damage.

    A second signal ends the process at once.
    """
    received: list[int] = []

    def handle(number: int, _: FrameType | None) -> None:
        if received:
            os._exit(128 + number)
        received.append(number)

    with handling(handle):
        yield
    if received:
        raise Interrupted(received[0])


class Interrupt:
    """A context manager that records the first signal instead of letting it end the program; the second one does.

    `received` is the number of that signal, or None. A thread waits for signals, since a handler in Python would run
    only after a long step, picture or save.
    """

    def __init__(self, announce: Callable[[], None]) -> None:
        """announce: called in that thread as soon as the first signal arrives."""
        self.received: int | None = None
        self._announce = announce

    def __enter__(self) -> "Interrupt":
        self._handlers = handling(lambda *_: None)  # the system writes the numbers of handled signals to the pipe
        self._numbers = self._handlers.__enter__()
        if self._numbers:
            self._read_end, self._write_end = os.pipe()
            os.set_blocking(self._write_end, False)
            self._previous_end = signal.set_wakeup_fd(self._write_end, warn_on_full_buffer=False)
            self._thread = threading.Thread(target=self._watch, name="signals", daemon=True)
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._numbers:
            signal.set_wakeup_fd(self._previous_end)
            os.close(self._write_end)  # ends the thread
            self._thread.join()
            os.close(self._read_end)
        self._handlers.__exit__(None, None, None)

    def _watch(self) -> None:
        while byte := os.read(self._read_end, 1):
            number = byte[0]
            if number not in self._numbers:
                continue
            if self.received:
                os._exit(128 + number)
            self.received = number
            self._announce()


@contextmanager
def handling(handler: Callable[[int, FrameType | None], Any]) -> Iterator[tuple[int, ...]]:
    """Handle all signals that are not ignored, and yield their numbers; none in a thread other than the main one."""
    numbers: tuple[int, ...] = ()
    if threading.current_thread() is threading.main_thread():
        numbers = tuple(number for number in SIGNALS if signal.getsignal(number) != signal.SIG_IGN)
    previous = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield numbers
    finally:
        for number, handler_before in previous.items():
            signal.signal(number, handler_before)


def _importing(frame: FrameType | None) -> bool:
    """Whether a module is being imported in `frame` or in a frame that called it."""
    while frame:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False
