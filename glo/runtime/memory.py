"""Free memory, asked for before large arrays are read: a small file can announce an array of any size."""

import os
from pathlib import Path

from glo.runtime.errors import UserError


def require(needed: int, what: str) -> None:
    """Raise `UserError` if `what` needs more bytes than are free."""
    free = available()
    if needed > free:
        raise UserError(
            f"{what} needs {needed / 1e9:.1f} GB of memory and {free / 1e9:.1f} GB are free: use a smaller one"
        )


def available() -> int:
    """Bytes that can be had without swapping, within what a container allows."""
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            free = next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):  # not Linux: all of the machine's memory
        free = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        allowed, used = (int(Path("/sys/fs/cgroup", name).read_text()) for name in ("memory.max", "memory.current"))
    except (OSError, ValueError):  # no container, or "max"
        return free
    return min(free, max(0, allowed - used))


def parse_size(text: str) -> int:
    """Bytes of a size such as 500M, 1.5G or 65536, in powers of 1024; `SIZE` says which texts are sizes."""
    return int(float(text.rstrip("KMGT")) * 1024 ** (" KMGT".index(text[-1]) if text[-1] in "KMGT" else 0))


SIZE = r"\d+(\.\d+)?[KMGT]?"
