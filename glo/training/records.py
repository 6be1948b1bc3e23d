"""Records of a run: metrics.jsonl for programs, and TensorBoard events with scalars and pictures."""

import errno
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from glo.runtime import files, paths
from glo.training import history


class Records:
    """Appends to the records of a run. Lines of metrics.jsonl after `step`, where training continues, are removed."""

    def __init__(self, run: Path, step: int):
        self.path = paths.metrics(run)
        records = [record for record in history.read(run) if record["step"] <= step]
        files.write_text(self.path, "".join(json.dumps(record) + "\n" for record in records))
        try:
            self._file = self.path.open("ab", buffering=0)
        except OSError as error:
            raise files.cannot_write(self.path, error) from error
        self._torn = False
        self._run, self._events = run, None

    def scalars(self, step: int, **values: Any) -> None:
        """Write a line of JSON, unbuffered, and a TensorBoard scalar for each value. Raises `files.WriteError`."""
        line = (json.dumps({"step": step, **values}) + "\n").encode()
        try:
            # A line that was cut off by a full disk is ended first, so that the new line can be parsed.
            line = b"\n" * self._torn + line
            self._torn = self._file.write(line) < len(line)
            if self._torn:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            raise files.cannot_write(self.path, error) from error
        with self._event_file(step):
            for name, value in values.items():
                tf.summary.scalar(name, value)

    def picture(self, step: int, name: str, picture: np.ndarray) -> None:
        """Write a picture, uint8 [h, w, 3], for TensorBoard. Raises `files.WriteError`."""
        with self._event_file(step):
            tf.summary.image(name, picture[None])

    def close(self) -> None:
        """Raises `files.WriteError` if events that were still in memory cannot be written."""
        self._file.close()
        with self._event_file(0):
            self._events.close()

    @contextmanager
    def _event_file(self, step: int) -> Iterator[None]:
        """Events are written to one file until a write fails, which may cut off an event: the next one opens another.

        TensorBoard reads all event files of a folder.
        """
        try:
            self._events = self._events or tf.summary.create_file_writer(str(self._run))
            with self._events.as_default(step):
                yield
        except tf.errors.OpError as error:
            self._events = None
            raise files.cannot_write(self._run / "events.out.tfevents", files.system_error(error.message)) from error
