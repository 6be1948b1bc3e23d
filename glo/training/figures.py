"""Loss, learning rate and speed of training, for metrics.jsonl, TensorBoard and the progress bar."""

import time

import numpy as np
from tqdm import tqdm

from glo.training.clock import Clock
from glo.training.divergence import LossWindow
from glo.training.records import Records
from glo.training.resume import Length
from glo.training.state import Training


class Figures:
    """Logs every --log_every steps, and at the last step."""

    def __init__(
        self, training: Training, length: Length, clock: Clock, records: Records | None, losses: LossWindow, bar: tqdm
    ):
        """records: None except in the first worker."""
        self._training, self._length, self._clock = training, length, clock
        self._records, self._losses, self._bar = records, losses, bar
        self._last_time = time.perf_counter()

    def due(self, step: int) -> bool:
        return step % self._training.settings.log_every == 0 or step == self._length.end

    def observe(self, step: int, rows: np.ndarray) -> None:
        """Log averages since the last call. Raises `files.WriteError`."""
        losses, images = self._losses.pop_means(self._training.crew)
        if self._records is None:
            return
        now = time.perf_counter()
        speed, self._last_time = images / (now - self._last_time), now
        self._bar.set_postfix(loss=f"{losses['loss']:.4f}", images_per_second=f"{speed:.0f}", refresh=False)
        self._records.scalars(
            step,
            epoch=step / self._training.steps_per_epoch,
            **losses,
            learning_rate=float(self._training.model.optimizer.learning_rate),
            images_per_second=speed,
            **self._clock.at(step),
        )
