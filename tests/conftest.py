"""Settings of all tests: oneDNN's kernels are on, as in the commands, and slow tests are marked."""

import os
import signal

import pytest

from glo.runtime import device, interrupt

os.environ.setdefault(device.ONEDNN, "1")

# A shell in the background ignores Ctrl-C, and nohup a closed terminal. Commands that tests start would inherit that.
for number in interrupt.SIGNALS:
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)

# Folders whose tests train runs, start commands as processes, or try hundreds of faults. `make test-fast` leaves them
# out.
SLOW = {"commands", "evaluation", "faults", "features"}
TRAINED = ("imle", "flow")  # samplers that are networks: cases with their names train one


def pytest_collection_modifyitems(items):
    for item in items:
        case = getattr(item, "callspec", None)
        trains = item.path.parent.name == "samplers" and case and any(name in case.id for name in TRAINED)
        if trains or item.path.parent.name in SLOW:
            item.add_marker(pytest.mark.slow)
