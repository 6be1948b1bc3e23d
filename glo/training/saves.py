"""Saving during training: checkpoints and, with --dump_result, the last batch with its reconstructions."""

import contextlib
import io
from pathlib import Path

import h5py
import numpy as np

from glo.inference.decoder import Decoder
from glo.runtime import files, paths
from glo.runtime.errors import UserError
from glo.training import manifest
from glo.training.checkpoint import Saver
from glo.training.resume import Length
from glo.training.state import Training


class Saves:
    """Saves every --save_every steps, in the background. The training loop saves once more at the end."""

    def __init__(self, run: Path, training: Training, decoder: Decoder, length: Length):
        self._run, self._training, self._decoder, self._length = run, training, decoder, length
        self._saver = Saver(run, training.settings, manifest.describe(training.dataset), training.crew)

    @property
    def last(self) -> Path | None:
        """Prefix of the last checkpoint that was saved, or else of the one that the run started from, or None."""
        return self._saver.saved or self._training.start

    def due(self, step: int) -> bool:
        return step % self._training.settings.save_every == 0 and step < self._length.end

    def observe(self, step: int, rows: np.ndarray) -> None:
        """Start to save a checkpoint. Raises `files.WriteError`, after the start, if the previous save failed."""
        self._saver.save(self._training.model)
        self._dump(step, rows)

    def finish(self, step: int, rows: np.ndarray) -> None:
        """Save the last checkpoint and wait for it.

        Raises `UserError` that names the last good checkpoint if it cannot be saved, and `files.WriteError` if only the
        batch of --dump_result cannot be written.
        """
        with contextlib.suppress(files.WriteError):  # of the previous save
            self._saver.wait()
        try:
            self._saver.save(self._training.model)
            self._saver.wait()
        except files.WriteError as error:
            last = f"the last good checkpoint is {self.last}" if self.last else "no checkpoint was saved before"
            raise UserError(f"{error}; {last}") from None
        self._dump(step, rows)

    def wait(self) -> None:
        """Wait until a running save has finished. Raises `files.WriteError` if it failed."""
        self._saver.wait()

    def _dump(self, step: int, rows: np.ndarray) -> None:
        """Write dump_result_<step>.hdf5, with --dump_result. With several workers, the first one writes its part.

        It holds image and reconstruction, uint8 [B, H, W, C], code, float32 [B, d], and row, int64 [B].
        """
        if not self._training.settings.dump_result or not self._training.crew.first or not len(rows):
            return
        codes = self._training.model.table.gather(rows).numpy()
        arrays = {
            "image": self._training.images[rows],
            "reconstruction": self._decoder.images(codes),
            "code": codes,
            "row": self._training.rows[rows],
        }
        buffer = io.BytesIO()  # since HDF5 does not report a full disk when it closes a file
        with h5py.File(buffer, "w") as file:
            for name, values in arrays.items():
                file[name] = values
        with files.replacing(paths.dump(self._run, step)) as temporary:
            temporary.write_bytes(buffer.getbuffer())
