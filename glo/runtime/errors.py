"""Errors shown to the user: one line that says what is wrong, where, and what to type next."""

import os
import signal
import sys
from collections.abc import Callable, Iterable

from glo.runtime import interrupt


class UserError(Exception):
    """An error that the user can correct. Its text is printed as one line without a traceback; the exit code is 2."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The hint ', did you mean X?' with the closest known word, or an empty string if no word is close."""
    import difflib  # not above, because a signal can be handled only after the imports of this module

    match = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f", did you mean {match[0]}?" if match else ""


def run(command: Callable[[], int | None]) -> int:
    """Run a command and return the exit code of the process.

    The code is the command's own (None counts as 0), 2 after a `UserError`, 128 plus the number of the signal that
    ended it (130 after Ctrl-C), and 141 if the program that reads the output, such as `head`, has closed the pipe.
    Any other exception is a bug in the toolkit and is raised with its traceback.
    """
    try:
        with interrupt.raising():
            code = command() or 0
            sys.stdout.flush()
        return code
    except UserError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as error:
        print("interrupted", file=sys.stderr)
        return 128 + getattr(error, "number", signal.SIGINT)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes stdout again when it exits
        return 141
