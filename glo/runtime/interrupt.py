"""The first Ctrl-C or SIGTERM asks a run to save and stop; the second one stops it at once."""

import signal
import threading
from types import FrameType


class Interrupt:
    """A context manager that records the first SIGINT or SIGTERM instead of letting it stop the program.

    `received` is the number of that signal, or None. After the first signal, the default handlers are active again.
    Python handles signals in the main thread only. In any other thread this context manager has no effect.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self.received: int | None = None

    def __enter__(self) -> "Interrupt":
        in_main_thread = threading.current_thread() is threading.main_thread()
        signals = self.SIGNALS if in_main_thread else ()
        self._previous_handlers = {number: signal.signal(number, self._record) for number in signals}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous_handlers.items():
            signal.signal(number, handler)

    def _record(self, received: int, _: FrameType | None) -> None:
        self.received = received
        for number in self.SIGNALS:
            signal.signal(number, signal.SIG_DFL)
