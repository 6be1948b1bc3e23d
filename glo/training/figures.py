"""The figures of a run: loss, learning rate and speed, for metrics.jsonl, TensorBoard and the progress bar."""

import time

import numpy as np
from tqdm import tqdm

from glo.training.clock import Clock
from glo.training.divergence import LossWindow
from glo.training.records import Records
from glo.training.resume import Length
from glo.training.state import Training


class Figures:
    """Writes a line every --log_every steps, and one at the end."""

    def __init__(
        self, training: Training, length: Length, clock: Clock, records: Records, losses: LossWindow, bar: tqdm
    ):
        self._training, self._length, self._clock = training, length, clock
        self._records, self._losses, self._bar = records, losses, bar
        self._since = time.perf_counter()

    def due(self, step: int) -> bool:
        return step % self._training.settings.log_every == 0 or step == self._length.end

    def observe(self, step: int, rows: np.ndarray) -> None:
        """Write means since the last line. Raises `files.WriteError`."""
        loss, images = self._losses.pop_mean()
        now = time.perf_counter()
        rate, self._since = images / (now - self._since), now
        self._bar.set_postfix(loss=f"{loss:.4f}", images_per_second=f"{rate:.0f}", refresh=False)
        self._records.scalars(
            step,
            epoch=step / self._training.steps_per_epoch,
            loss=loss,
            learning_rate=float(self._training.model.optimizer.learning_rate),
            images_per_second=rate,
            **self._clock.at(step),
        )
