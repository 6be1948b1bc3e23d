"""Generated faults: strategies that damage the bytes of a valid file, and the number of examples of each family.

The environment variable GLO_FAULTS multiplies the number of examples: `make test-faults` runs thousands.
"""

import os
from collections.abc import Callable

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

SCALE = int(os.environ.get("GLO_FAULTS", "1"))
INTERESTING = (b"\0" * 4, b"\xff" * 4, b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\x80\0\0\0", b"\0", b"\xff", b"\x01")


def examples(count: int) -> Callable:
    """A decorator for a test with @given: `count` examples times GLO_FAULTS, the same ones in every run."""
    return settings(
        max_examples=count * SCALE,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


@st.composite
def damaged(draw: st.DrawFn, valid: bytes) -> bytes:
    """A file with up to four faults: bytes changed, put in, left out, repeated or moved, and an end that is cut off."""
    data = bytearray(valid)
    for _ in range(draw(st.integers(1, 4))):
        # Headers are short, and their faults reach further than those of pixels: half of the faults are put there.
        at = draw(st.integers(0, min(127, len(data))) | st.integers(0, len(data)))
        piece = draw(st.sampled_from(INTERESTING) | st.binary(min_size=1, max_size=8))
        match draw(st.sampled_from(("change", "insert", "delete", "repeat", "swap", "cut"))):
            case "change":
                data[at : at + len(piece)] = piece
            case "insert":
                data[at:at] = piece
            case "delete":
                del data[at : at + len(piece)]
            case "repeat":
                data[at:at] = data[at : at + 64] * draw(st.integers(1, 20))
            case "swap":
                data[:] = data[at:] + data[:at]
            case "cut":
                del data[at:]
    return bytes(data)
