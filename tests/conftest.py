"""Settings of all tests: oneDNN's kernels are on, as in the commands, and slow tests are marked."""

import os
import signal

import pytest

from glo.runtime import device

os.environ.setdefault(device.ONEDNN, "1")

# A shell that starts the tests in the background lets them ignore Ctrl-C, which the commands that they start would
# inherit. A handler in this process is the default again in those commands.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Folders whose tests train runs, start commands as processes, or try hundreds of faults. `make test-fast` leaves them
# out.
SLOW = {"commands", "evaluation", "faults", "features"}


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.parent.name in SLOW:
            item.add_marker(pytest.mark.slow)
