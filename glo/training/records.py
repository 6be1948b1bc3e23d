"""What a run leaves behind while it trains: metrics.jsonl for programs, TensorBoard events, pictures."""

import errno
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from glo.runtime import files, paths
from glo.training import history


class Records:
    """Appends to the records of a run. Resuming drops what an interrupted run logged after its last checkpoint."""

    def __init__(self, run: Path, step: int):
        self.path = paths.metrics(run)
        kept = [record for record in history.read(run) if record["step"] <= step]
        files.write_text(self.path, "".join(json.dumps(record) + "\n" for record in kept))
        try:
            self._file = self.path.open("ab", buffering=0)
        except OSError as error:
            raise files.cannot_write(self.path, error) from error
        self._torn = False
        self._events = tf.summary.create_file_writer(str(run))

    def scalars(self, step: int, **values: Any) -> None:
        """One JSON line, on its way to the disk at once, and a TensorBoard scalar for each value."""
        line = (json.dumps({"step": step, **values}) + "\n").encode()
        try:
            # A line that a full disk cut off is ended first, so that it does not spoil the next.
            line = b"\n" * self._torn + line
            self._torn = self._file.write(line) < len(line)
            if self._torn:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            raise files.cannot_write(self.path, error) from error
        with self._events.as_default(step):
            for name, value in values.items():
                tf.summary.scalar(name, value)

    def picture(self, step: int, name: str, picture: np.ndarray) -> None:
        """A TensorBoard image, uint8 [h, w, 3]."""
        with self._events.as_default(step):
            tf.summary.image(name, picture[None])

    def close(self) -> None:
        self._file.close()
        self._events.close()
