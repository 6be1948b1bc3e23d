"""Free memory, which is checked before large arrays are read: even a small file can declare a huge array."""

import os
import resource
import sys
from pathlib import Path

from glo.runtime.errors import UserError


def require(needed: int, what: str, advice: str = "use a smaller one") -> None:
    """Raise `UserError` if `needed` bytes are more than the free memory.

    what: the file or object that needs them. advice: what the user should do, the last part of the message.
    """
    free = available()
    if needed > free:
        raise UserError(
            f"{what} needs {needed / 1e9:.1f} GB of memory, but only {free / 1e9:.1f} GB are free: {advice}"
        )


def available() -> int:
    """Free memory in bytes: what can be allocated without swapping, within the limit of a container."""
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            free = next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):  # not Linux: use the total memory of the machine
        free = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        limit, used = (int(Path("/sys/fs/cgroup", name).read_text()) for name in ("memory.max", "memory.current"))
    except (OSError, ValueError):  # no container, or a container without a limit, whose file says "max"
        return free
    return min(free, max(0, limit - used))


def peak() -> int:
    """The most memory, in bytes, that this process has had resident so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak << 10


def parse_size(text: str) -> int:
    """Convert a size such as 500M, 1.5G or 65536 to bytes. Units are powers of 1024; `text` must match `SIZE`."""
    return int(float(text.rstrip("KMGT")) * 1024 ** (" KMGT".index(text[-1]) if text[-1] in "KMGT" else 0))


SIZE = r"[0-9]{1,15}(\.[0-9]{1,9})?[KMGT]?"
