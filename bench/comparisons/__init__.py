"""The comparisons of the bench, a file each.

The modules import TensorFlow and PyTorch only inside the contenders, so that a process loads no more than it measures.
"""

from bench.comparison import Comparison
from bench.comparisons import (
    building,
    decoding,
    first_step,
    fitting,
    growth,
    overhead,
    quality,
    saving,
    speed,
    streaming,
    workers,
)

ALL: dict[str, Comparison] = {
    "speed": speed.COMPARISON,
    "growth": growth.COMPARISON,
    "streaming": streaming.COMPARISON,
    "saving": saving.COMPARISON,
    "workers": workers.COMPARISON,
    "overhead": overhead.COMPARISON,
    "fitting": fitting.COMPARISON,
    "building": building.COMPARISON,
    "decoding": decoding.COMPARISON,
    "first_step": first_step.COMPARISON,
    "quality": quality.COMPARISON,
}
