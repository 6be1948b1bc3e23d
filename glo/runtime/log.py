"""The log: coloured lines on the terminal, above any progress bar, and plain lines in log.txt."""

import logging
import sys
from contextlib import suppress
from pathlib import Path

from glo.runtime import files, terminal

logger = logging.getLogger("glo")


class _AboveProgressBar(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        from tqdm import tqdm

        with suppress(OSError):  # stderr may be full, or a pipe that nobody reads: the command goes on
            tqdm.write(self.format(record), file=sys.stderr)


def _make_printable(record: logging.LogRecord) -> bool:
    """A filter that replaces terminal escape codes in the names of files and labels, for all handlers."""
    record.msg, record.args = terminal.printable(record.getMessage()), None
    return True


logger.addFilter(_make_printable)


def setup() -> None:
    """Send the log to stderr, in colour if stderr is a terminal."""
    import colorlog

    handler = _AboveProgressBar()
    no_color = not sys.stderr.isatty()
    handler.setFormatter(
        colorlog.ColoredFormatter("%(log_color)s[%(asctime)s]%(reset)s %(message)s", "%H:%M:%S", no_color=no_color)
    )
    for previous in logger.handlers:  # of a command that this process has run before, with the file of its run
        previous.close()
    logger.handlers[:] = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False


def progress_hidden() -> bool | None:
    """The argument `disable` of a tqdm bar that users of Python see too: None, unless a Jupyter kernel runs.

    With None, tqdm hides a bar if stderr is not a terminal. That of a kernel is not one, but it does show bars.
    """
    return False if "ipykernel" in sys.modules else None


def to_file(path: Path) -> None:
    """Append the log to a file as well. Raises `files.WriteError` if it cannot be opened."""
    # With a full disk, logging would print a traceback for every line; the code that saves checkpoints reports it once.
    logging.raiseExceptions = False
    try:
        handler = logging.FileHandler(path, encoding="utf-8")
    except OSError as error:
        raise files.cannot_write(path, error) from error
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger.addHandler(handler)
