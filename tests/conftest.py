"""Settings of all tests: oneDNN's kernels are on, as in the commands, slow tests are marked, long files start first."""

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

# The files that take longest, the longest first. `make test` gives whole files to its processes, in this order: a long
# one that came last would keep one process busy while the other has nothing left to do.
LONG = (
    "commands/test_readme",
    "commands/test_methods",
    "commands/test_interruption",
    "workers/test_training",
    "bench/test_bench",
    "faults/test_runs",
    "commands/test_conditional",
    "commands/test_resuming",
    "commands/test_trainer",
    "commands/test_run",
    "commands/test_encoder",
    "commands/test_evaler",
    "faults/test_settings",
)


def pytest_collection_modifyitems(items):
    names = {item.path: f"{item.path.parent.name}/{item.path.stem}" for item in items}
    items.sort(key=lambda item: LONG.index(name) if (name := names[item.path]) in LONG else len(LONG))
    for item in items:
        case = getattr(item, "callspec", None)
        trains = item.path.parent.name == "samplers" and case and any(name in case.id for name in TRAINED)
        if trains or item.path.parent.name in SLOW:
            item.add_marker(pytest.mark.slow)
