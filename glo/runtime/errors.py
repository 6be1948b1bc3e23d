"""Errors for people: one line that says what is wrong, where, and what to type next."""

import difflib
import os
import sys
from collections.abc import Callable, Iterable


class UserError(Exception):
    """Something the user can mend. Its text is the whole message: one line, no traceback, exit code 2."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """', did you mean X?' with the known word that is closest, or nothing if none is close."""
    match = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f", did you mean {match[0]}?" if match else ""


def run(command: Callable[[], int | None]) -> int:
    """Run a command and return its exit code: 0 or its own, 2 after a `UserError`, 130 after Ctrl-C.

    141, in silence, if whatever reads its output has seen enough, such as head.

    Any other exception is a defect of ours and keeps its traceback.
    """
    try:
        code = command() or 0
        sys.stdout.flush()
        return code
    except UserError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more when it exits
        return 141
