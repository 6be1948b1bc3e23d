"""The last batch with its reconstructions, in a file beside each checkpoint: --dump_result."""

import io
from pathlib import Path

import h5py
import numpy as np

from glo.inference.decoder import Decoder
from glo.runtime import files, paths
from glo.training.saves import Saves
from glo.training.state import Training


class Dumps:
    """Writes dump_result_<step>.hdf5 at the steps of checkpoints, whether or not these can be saved.

    With several workers, the first one writes its part of the batch.

    It holds image and reconstruction, uint8 [B, H, W, C], code, float32 [B, d], and row, int64 [B].
    """

    def __init__(self, run: Path, training: Training, decoder: Decoder, saves: Saves):
        self._run, self._training, self._decoder, self._saves = run, training, decoder, saves

    def due(self, step: int) -> bool:
        return self._requested and self._saves.due(step)

    def observe(self, step: int, rows: np.ndarray) -> None:
        """Write the file of a step, unless no image of the batch is here. Raises `files.WriteError`."""
        if not len(rows):
            return
        codes = self._training.model.table.gather(rows).numpy()
        arrays = {
            "image": self._training.images[rows],
            "reconstruction": self._decoder.images(codes, self._training.conditions(rows)),
            "code": codes,
            "row": self._training.rows[rows],
        }
        buffer = io.BytesIO()  # since HDF5 does not report a full disk when it closes a file
        with h5py.File(buffer, "w") as file:
            for name, values in arrays.items():
                file[name] = values
        with files.replacing(paths.dump(self._run, step)) as temporary:
            temporary.write_bytes(buffer.getbuffer())

    def finish(self, step: int, rows: np.ndarray) -> None:
        """Write the file of the last step. Raises `files.WriteError`."""
        if self._requested:
            self.observe(step, rows)

    @property
    def _requested(self) -> bool:
        return self._training.settings.dump_result and self._training.crew.first
