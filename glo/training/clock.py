"""What a run has taken so far: seconds of training and images seen."""

import time
from pathlib import Path

from glo.training import history
from glo.training.state import Training


class Clock:
    """Counts from the start of the run, over interruptions."""

    def __init__(self, run: Path, training: Training):
        self._training = training
        before = history.clocked(history.read(run), training.settings.batch_size)
        self._before = before[-1]["seconds"] if before else 0.0
        self._started = time.perf_counter()

    def at(self, step: int) -> dict[str, float]:
        """`seconds` until now, and `images` seen in so many steps."""
        epochs, steps = divmod(step, self._training.steps_per_epoch)
        images = epochs * len(self._training.images) + steps * self._training.settings.batch_size
        return {"seconds": self._before + time.perf_counter() - self._started, "images": images}
