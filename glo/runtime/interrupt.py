"""Ctrl-C and SIGTERM ask a run to save and end; a second one ends it at once."""

import signal
import threading
from types import FrameType


class Interrupt:
    """While entered, the first SIGINT or SIGTERM is only noted in `received`; after it, signals act as usual again.

    Python handles signals in the main thread alone: in any other, nothing is noted and nothing changes.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self.received: int | None = None

    def __enter__(self) -> "Interrupt":
        main = threading.current_thread() is threading.main_thread()
        self._before = {number: signal.signal(number, self._note) for number in self.SIGNALS if main}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, _: FrameType | None) -> None:
        self.received = number
        for each in self.SIGNALS:
            signal.signal(each, signal.SIG_DFL)
