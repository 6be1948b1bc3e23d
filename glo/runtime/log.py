"""The log: coloured lines for people on the terminal, above any progress bar, and plain ones in log.txt."""

import logging
import sys
from pathlib import Path

logger = logging.getLogger("glo")


class _AboveProgressBar(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        from tqdm import tqdm

        tqdm.write(self.format(record), file=sys.stderr)


def setup() -> None:
    """Send the log to stderr, coloured if that is a terminal."""
    import colorlog

    handler = _AboveProgressBar()
    plain = not sys.stderr.isatty()
    handler.setFormatter(
        colorlog.ColoredFormatter("%(log_color)s[%(asctime)s]%(reset)s %(message)s", "%H:%M:%S", no_color=plain)
    )
    logger.handlers[:] = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False


def to_file(path: Path) -> None:
    """Append the log to a file as well."""
    logging.raiseExceptions = False  # a full disk must not bury the terminal in tracebacks: others report it better
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger.addHandler(handler)
