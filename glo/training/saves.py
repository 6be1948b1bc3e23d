"""Saving of checkpoints during training."""

import contextlib
from pathlib import Path

import numpy as np

from glo.runtime import files, paths
from glo.runtime.errors import UserError
from glo.training import manifest
from glo.training.checkpoint import Saver
from glo.training.resume import Length
from glo.training.state import Training


class Saves:
    """Saves every --save_every steps, in the background. The training loop saves once more at the end."""

    def __init__(self, run: Path, training: Training, length: Length):
        self._run, self._training, self._length = run, training, length
        data = manifest.describe(training.dataset, training.network)
        self._saver = Saver(run, training.settings, data, training.crew)

    @property
    def last(self) -> Path | None:
        """Prefix of the last checkpoint that was saved, or else of the one that the run started from, or None."""
        return self._saver.saved or self._training.start

    def due(self, step: int) -> bool:
        return step % self._training.settings.save_every == 0 and step < self._length.end

    def observe(self, step: int, rows: np.ndarray) -> None:
        """Start to save a checkpoint. Raises `files.WriteError`, after the start, if the previous save failed."""
        self._saver.save(self._training.model)

    def finish(self, step: int) -> None:
        """Save the last checkpoint, unless it is saved already, and wait for it.

        Raises `UserError` that names the last good checkpoint if it cannot be saved.
        """
        with contextlib.suppress(files.WriteError):  # of the previous save
            self._saver.wait()
        if self.last == paths.model(self._run, step):  # a signal arrived at a step of --save_every
            return
        try:
            self._saver.save(self._training.model)
            self._saver.wait()
        except files.WriteError as error:
            last = f"the last good checkpoint is {self.last}" if self.last else "no checkpoint was saved before"
            raise UserError(f"{error}; {last}") from None

    def wait(self) -> None:
        """Wait until a running save has finished. Raises `files.WriteError` if it failed."""
        self._saver.wait()
