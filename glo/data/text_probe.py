"""A trial by another process of whether HDF5 can read the texts in the attributes of an object.

Texts of variable length lie in a heap without checksums, which HDF5 reads forever if a size in it is damaged. Files
that the toolkit builds have had a checked copy of their texts for some time: older files and those of others have not.
"""

import contextlib
import functools
import math
import os
import signal
import subprocess
import sys

import h5py

SECONDS = 2  # of computing; reading takes milliseconds
MAX_TEXTS = 1 << 16  # texts of an attribute that is tried; `safe_hdf5.attribute` refuses more


def ends(path: str, name: str) -> bool:
    """Whether HDF5 comes to an end, with or without an error, when it reads the attributes of the object `name`."""
    state = os.stat(path)
    return _ends(path, name, state.st_size, state.st_mtime_ns)


@functools.lru_cache(maxsize=16)
def _ends(path: str, name: str, *_state: int) -> bool:
    line = [sys.executable, "-P", __file__, path, name]  # as a program, this file imports nothing of the toolkit
    process = subprocess.run(line, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    return process.returncode >= 0  # otherwise a signal has ended it


def _try(path: str, name: str) -> None:
    """Read all attributes of an object. The system ends the process if this takes too long."""
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    with contextlib.suppress(Exception), h5py.File(path, "r") as file:
        attributes = file[name].attrs
        for key in attributes:
            with contextlib.suppress(Exception):
                if math.prod(attributes.get_id(key).shape or ()) <= MAX_TEXTS:
                    attributes[key]


if __name__ == "__main__":
    _try(*sys.argv[1:])
