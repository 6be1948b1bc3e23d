"""Standard output and standard error of a command, which may be closed, full, or lack characters.

Text that reaches them may come with the data: terminal escape codes in it are replaced, see `printable`.
"""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class OutputError(OSError):
    """Standard output could not be written, for example because it is closed or its disk is full."""


def prepare() -> None:
    """Make both streams usable, whatever the command was started with. Called before any file is opened."""
    # A file must not get the number of a closed stream, to which libraries written in C print their messages. Standard
    # output is opened for reading only: if something is printed there and lost, that is an error, but not before.
    for number, mode in enumerate((os.O_RDONLY, os.O_RDONLY, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, mode)  # gets the smallest free number
    sys.stdout = sys.stdout or open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - open until exit
    sys.stderr = sys.stderr or open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def printable(text: str) -> str:
    """A line of text with ? in place of control characters, line breaks, text direction marks and the like."""
    return "".join(character if character.isprintable() else "?" for character in text)


def show(text: str) -> None:
    """Print lines of text to standard output at once. Raises `OutputError`, or `BrokenPipeError` if nobody reads it."""
    with _writing():
        print("\n".join(map(printable, text.split("\n"))), flush=True)


def report(line: str) -> None:
    """Print a line to standard error, if that is possible."""
    with suppress(OSError):
        print(printable(line), file=sys.stderr, flush=True)


def flush() -> None:
    """Write what is still buffered for standard output. Raises as `show`."""
    with _writing():
        sys.stdout.flush()


def discard() -> None:
    """Drop what could not be written: Python would try again when it exits, and print the error."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


@contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f"cannot write to standard output: {error.strerror or error}") from None
