"""metrics.jsonl of a run, read back without TensorFlow."""

import json
from pathlib import Path
from typing import Any

from glo.runtime import paths
from glo.runtime.errors import UserError


def read(run: Path) -> list[dict[str, Any]]:
    """The records of a run, oldest first; lines cut off by a kill or a full disk are left out."""
    path = paths.metrics(run)
    if not path.exists():
        return []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read {path}: {error}") from None


def clocked(records: list[dict[str, Any]], batch_size: int) -> list[dict[str, Any]]:
    """The records with `seconds` of training and `images` seen, which older runs did not log.

    There, images are steps times the batch size, and seconds follow from the rates that were logged.
    """
    seconds, images, found = 0.0, 0, []
    for record in records:
        seen = record.get("images", record["step"] * batch_size)
        if "seconds" in record:
            seconds = record["seconds"]
        elif record.get("images_per_second"):
            seconds += (seen - images) / record["images_per_second"]
            images = seen
        found.append({**record, "seconds": seconds, "images": seen})
    return found
