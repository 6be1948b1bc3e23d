"""metrics.jsonl of a run, read back without TensorFlow."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from glo.runtime import files, paths
from glo.runtime.errors import UserError
from glo.runtime.log import logger

MAX_LINE_BYTES = 1 << 16
MAX_NUMBER = 1e300  # sums and products of such numbers with usual ones are finite


def read(run: Path) -> list[dict[str, Any]]:
    """The records of a run, oldest first: objects of finite numbers, of which `step` is an int of at least 0.

    Other lines, such as those that were cut off by a kill or a full disk, are left out with a warning.
    Raises `UserError` if the file cannot be read.
    """
    path, records, damaged = paths.metrics(run), [], 0
    try:
        with files.open_regular(path) as file:
            for line in _lines(file):
                if (record := _record(line)) is not None:
                    records.append(record)
                else:
                    damaged += 1
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}; move it away or change its permissions") from None
    if damaged:
        logger.warning("%s: lines that are no records are left out: %d", path, damaged)
    return records


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """The lines of a file, of which at most `MAX_LINE_BYTES` + 1 bytes are in memory, without empty ones."""
    while line := file.readline(MAX_LINE_BYTES + 1):
        rest = line
        while len(rest) > MAX_LINE_BYTES and not rest.endswith(b"\n"):
            rest = file.readline(MAX_LINE_BYTES + 1)
        if line.strip():
            yield line


def _record(line: bytes) -> dict[str, Any] | None:
    """The record of a line, or None if it holds none."""
    try:
        record = json.loads(line) if len(line) <= MAX_LINE_BYTES else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict) or type(record.get("step")) is not int or record["step"] < 0:
        return None
    # A comparison with NaN is false.
    if not all(type(value) in (int, float) and abs(value) < MAX_NUMBER for value in record.values()):
        return None
    return record


def clocked(records: list[dict[str, Any]], batch_size: int) -> list[dict[str, Any]]:
    """The records with `seconds` of training and `images` seen, which older runs did not log.

    There, images are steps times the batch size, and seconds follow from the rates that were logged.
    """
    seconds, images, with_clock = 0.0, 0, []
    for record in records:
        seen = record.get("images", record["step"] * batch_size)
        if "seconds" in record:
            seconds = record["seconds"]
        elif record.get("images_per_second", 0) > 1e-9:
            seconds += (seen - images) / record["images_per_second"]
            images = seen
        with_clock.append({**record, "seconds": seconds, "images": seen})
    return with_clock
