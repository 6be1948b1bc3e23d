"""Free memory, asked for before large arrays are read: a small file can announce an array of any size."""

import os

from glo.errors import UserError


def require(needed: int, what: str) -> None:
    """Raise `UserError` if `what` needs more bytes than are free."""
    free = available()
    if needed > free:
        raise UserError(
            f"{what} needs {needed / 1e9:.1f} GB of memory and {free / 1e9:.1f} GB are free: use a smaller one"
        )


def available() -> int:
    """Bytes that can be had without swapping; where the system does not tell, all of the machine's memory."""
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            return next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
