"""Training continues if files cannot be written, with at most one warning per minute."""

import math
import time
from collections.abc import Callable
from typing import Any

from glo.runtime.files import WriteError
from glo.runtime.log import logger
from glo.training.saves import Saves

WARN_SECONDS = 60


class Tolerance:
    """Calls functions that write files, and turns a `WriteError` into a warning that names the last good checkpoint."""

    def __init__(self, saves: Saves):
        self._saves, self._warned = saves, -math.inf

    def __call__(self, write: Callable[..., None], *args: Any) -> None:
        try:
            write(*args)
        except WriteError as error:
            if time.monotonic() - self._warned > WARN_SECONDS:
                logger.warning("%s. Training continues; the last good checkpoint is %s", error, self._saves.last)
                self._warned = time.monotonic()
