"""What a run leaves behind while it trains: metrics.jsonl for programs, TensorBoard events, pictures."""

import contextlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from glo import files, paths
from glo.errors import UserError


class Records:
    """Appends to the records of a run. Resuming drops what an interrupted run logged after its last checkpoint."""

    def __init__(self, run: Path, step: int):
        self.path = paths.metrics(run)
        kept = [record for record in read(run) if record["step"] <= step]
        files.write_text(self.path, "".join(json.dumps(record) + "\n" for record in kept))
        try:
            self._file = self.path.open("a", encoding="utf-8")
        except OSError as error:
            raise files.cannot_write(self.path, error) from error
        self._events = tf.summary.create_file_writer(str(run))

    def scalars(self, step: int, **values: Any) -> None:
        """One flushed JSON line, and a TensorBoard scalar for each value."""
        try:
            self._file.write(json.dumps({"step": step, **values}) + "\n")
            self._file.flush()
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
        with contextlib.suppress(OSError):  # a line that did not fit was reported when it was written
            self._file.close()
        self._events.close()


def read(run: Path) -> list[dict[str, Any]]:
    """The records of a run, oldest first; a last line cut off by a kill is left out."""
    path = paths.metrics(run)
    if not path.exists():
        return []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines if line.endswith("}")]
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read {path}: {error}") from None
