"""Settings of all tests: oneDNN's kernels are on, as in the commands, and slow tests are marked."""

import os

import pytest

from glo.runtime import device

os.environ.setdefault(device.ONEDNN, "1")

# Folders whose tests train runs or start commands as processes; `make test-fast` leaves them out.
SLOW = {"commands", "evaluation", "features"}


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.parent.name in SLOW:
            item.add_marker(pytest.mark.slow)
