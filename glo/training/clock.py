"""The progress of a run: seconds of training and number of images seen."""

import time
from pathlib import Path

from glo.runtime import memory
from glo.training import history
from glo.training.state import Training


class Clock:
    """Measures from the start of a run. Time between an interruption and its continuation is not counted."""

    def __init__(self, run: Path, training: Training):
        self._training = training
        records = history.clocked(history.read(run), training.settings.batch_size)
        self._before = records[-1]["seconds"] if records else 0.0
        self._started = time.perf_counter()

    def at(self, step: int) -> dict[str, float]:
        """Return `seconds` of training until now, the number of `images` seen in the first `step` steps, and memory.

        `peak_memory` is the most host memory that the process has used so far, in MB.
        """
        epochs, steps = divmod(step, self._training.steps_per_epoch)
        images = epochs * self._training.size + steps * self._training.settings.batch_size
        seconds = self._before + time.perf_counter() - self._started
        return {"seconds": seconds, "images": images, "peak_memory": memory.peak() / 1e6}
