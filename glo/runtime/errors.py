"""Errors shown to the user: one line that says what is wrong, where, and what to type next."""

import signal
from collections.abc import Callable, Iterable

from glo.runtime import interrupt, terminal


class UserError(Exception):
    """An error that the user can correct. Its text is printed as one line without a traceback; the exit code is 2."""


MAX_LENGTH = 100  # characters of a word of the user's in an error


def shortened(text: object) -> str:
    """A path or another text of the user's as part of an error: its middle is left out if it is long, and characters
    that a terminal would obey are escaped."""
    words = str(text)
    words = words if words.isprintable() else repr(words)[1:-1]
    return words if len(words) <= MAX_LENGTH else f"{words[: MAX_LENGTH // 2]}...{words[3 - MAX_LENGTH // 2 :]}"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The hint ', did you mean X?' with the closest known word, or an empty string if no word is close."""
    if len(word) > MAX_LENGTH:
        return ""  # comparing takes time in proportion to the length
    import difflib  # not above, because a signal can be handled only after the imports of this module

    match = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f", did you mean {match[0]}?" if match else ""


def run(command: Callable[[], int | None]) -> int:
    """Run a command and return the exit code of the process.

    The code is the command's own (None counts as 0), 2 after a `UserError` and if standard output cannot be written,
    128 plus the number of the signal that ended it (130 after Ctrl-C), and 141 if the program that reads the output,
    such as `head`, has closed the pipe.
    Any other exception is a bug in the toolkit and is raised with its traceback.
    """
    terminal.prepare()
    try:
        with interrupt.raising():
            try:
                code = command() or 0
            except SystemExit as end:  # after --help
                code = end.code or 0
            terminal.flush()
        return code
    except (UserError, terminal.OutputError) as error:
        terminal.report(f"error: {' '.join(str(error).split())}")
        return 2
    except KeyboardInterrupt as error:
        terminal.report("interrupted")
        return 128 + getattr(error, "number", signal.SIGINT)
    except BrokenPipeError:
        return 141
    finally:
        terminal.discard()
