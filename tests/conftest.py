"""All tests run with oneDNN's kernels, as the commands do."""

import os

from glo.runtime import device

os.environ.setdefault(device.ONEDNN, "1")
