"""What a checkpoint says of itself: model-<step>.json, read and checked before TensorFlow is loaded.

It is written after the checkpoint's other files and lists them with their SHA-256, so a checkpoint is complete exactly
if its manifest is there, and sound exactly if the sums agree. Codes belong to rows: the manifest therefore also names
the very images, in order, that the codes were learned for.
"""

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from glo.data.conditions import Conditions, blank
from glo.data.dataset import Dataset
from glo.runtime import files, paths
from glo.runtime.errors import UserError
from glo.settings import TrainSettings, fields

FORMAT = 1
MAX_BYTES = 1 << 20


# What `data` holds, by the words that errors use.
IMAGE_SHAPE, DIMENSION, TRAINING_IMAGES = "image shape", "code dimension", "training images"
CLASSES, ATTRIBUTES, LABELS = "classes", "attributes", "labels of the classes"


@dataclass(frozen=True)
class Manifest:
    """step: steps taken. settings: the run's stored settings. data: see `describe`. files: SHA-256 by file name.

    numerics: what the bits of the run depend on besides, see `glo.runtime.device.numerics`; {} in older checkpoints.
    """

    step: int
    settings: dict[str, Any]
    data: dict[str, Any]
    files: dict[str, str]
    format: int = FORMAT
    numerics: dict[str, Any] = field(default_factory=dict)

    def resolved(self, prefix: Path) -> TrainSettings:
        """The settings, checked like any other input."""
        settings = {"precision": "float32", **self.settings}  # the only precision before there was this setting
        return fields.resolve(TrainSettings, fields.Layer(str(paths.manifest(prefix)), settings))

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(H, W, C)."""
        return tuple(self.data[IMAGE_SHAPE])

    @property
    def dimension(self) -> int:
        """d, of the codes."""
        return self.data[DIMENSION]

    @property
    def training_images(self) -> int:
        """n, of the images that codes were learned for, without altered copies."""
        return self.data[TRAINING_IMAGES]

    def conditions(self) -> Conditions:
        """The names of the condition, with blank values for the training images."""
        names, numbers = self.data.get(CLASSES) or self.data.get(ATTRIBUTES) or [], self.data.get(LABELS)
        return blank(names, numbers, self.training_images)


def describe(dataset: Dataset) -> dict[str, Any]:
    """What ties a code table to a dataset: images and their order, code dimension, rows trained on, and conditions."""
    data = {
        "fingerprint of the images": dataset.fingerprint,
        IMAGE_SHAPE: list(dataset.image_shape),
        DIMENSION: dataset.dimension,
        TRAINING_IMAGES: len(dataset.train_rows),
        "training rows": hashlib.sha256(dataset.train_rows.astype("<i8").tobytes()).hexdigest(),
    }
    conditions = dataset.conditions
    if conditions.names:
        data[ATTRIBUTES if conditions.numbers is None else CLASSES] = list(conditions.names)
        if conditions.numbers is not None:
            data[LABELS] = list(conditions.numbers)
        data["fingerprint of the conditions"] = conditions.fingerprint()
    return data


def difference(manifest: Manifest, dataset: Dataset) -> str | None:
    """How a dataset differs from the checkpoint's, in words; None if it is the same."""
    for what, now in describe(dataset).items():
        if manifest.data.get(what) != now:
            return f"its {what} is {_short(now)} and the checkpoint's {_short(manifest.data.get(what))}"
    return None


def check_dataset(manifest: Manifest, dataset: Dataset, prefix: Path) -> None:
    """Refuse a dataset other than the checkpoint's, naming what differs."""
    if found := difference(manifest, dataset):
        raise UserError(
            f"{dataset.path} is not what {prefix} was trained on: {found}; learned codes belong to their rows, give "
            "the dataset of that run"
        )


def newest_run(train_dir: str, dataset: str) -> Path:
    """The newest run folder of a dataset that holds a checkpoint. Raises `UserError` if there is none."""
    for run in paths.runs(train_dir, dataset):
        if paths.steps(run):
            return run
    raise UserError(
        f"no run of {dataset} with a checkpoint in {train_dir}: type python trainer.py --dataset {dataset}, or give "
        "--checkpoint"
    )


def locate(path: str) -> tuple[Path, bool]:
    """The prefix <run>/model-<step> that a --checkpoint means, and whether it named a run folder (its newest one)."""
    given = Path(path)
    if given.is_dir():
        found = paths.steps(given)
        if not found:
            raise UserError(f"{given} holds no complete checkpoint (model-<step>.json): give a run folder that does")
        return paths.model(given, found[-1]), True
    prefix = given.with_name(re.sub(r"\.(index|json|data-.*)$", "", given.name))
    if paths.manifest(prefix).is_file():
        return prefix, False
    folder = prefix.parent
    if folder.is_dir() and (found := paths.steps(folder)):
        raise UserError(f"no checkpoint {prefix}: {folder} has steps {', '.join(map(str, found))}")
    raise UserError(f"no checkpoint {prefix}: give a run folder, or <run folder>/model-<step>")


def read(prefix: Path) -> Manifest:
    """Read a manifest and check that every file of the checkpoint is there and unchanged."""
    path = paths.manifest(prefix)
    try:
        with path.open(encoding="utf-8") as file:
            content = json.loads(file.read(MAX_BYTES))
        found = Manifest(**content)
        sound = _sound(found)
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise UserError(f"{path} is not a checkpoint's manifest ({error}): {_another(prefix)}") from None
    if not sound or found.format != FORMAT:
        raise UserError(f"{path} is not a manifest that this version reads: {_another(prefix)}")
    for name, expected in found.files.items():
        part = prefix.parent / name
        if not name.startswith(f"{prefix.name}.") or Path(name).name != name:
            raise UserError(f"{path} lists a file of another checkpoint, '{name}': {_another(prefix)}")
        if not part.is_file():
            raise UserError(f"{part} is missing, so this checkpoint cannot be used: {_another(prefix)}")
        if checksum(part) != expected:
            raise UserError(f"{part} is damaged (its checksum differs): {_another(prefix)}")
    return found


def _sound(manifest: Manifest) -> bool:
    """Whether the fields have the types that they should."""
    parts = (manifest.settings, manifest.data, manifest.files, manifest.numerics)
    if type(manifest.step) is not int or not all(isinstance(part, dict) for part in parts):
        return False
    shape, counts = manifest.data.get(IMAGE_SHAPE), [manifest.data.get(what) for what in (DIMENSION, TRAINING_IMAGES)]
    if not isinstance(shape, list) or len(shape) != 3:
        return False
    return all(type(value) is int and value > 0 for value in [*shape, *counts]) and _sound_condition(manifest.data)


def _sound_condition(data: dict[str, Any]) -> bool:
    """Whether the names of the condition, if there is one, are texts, and each class has its label."""
    lists = [data.get(key, []) for key in (CLASSES, ATTRIBUTES, LABELS)]
    if not all(isinstance(values, list) for values in lists):
        return False
    classes, attributes, labels = lists
    named = all(isinstance(name, str) for name in [*classes, *attributes])
    return (
        named and not (classes and attributes) and len(labels) == len(classes) and all(type(n) is int for n in labels)
    )


def write(prefix: Path, manifest: Manifest) -> None:
    """Complete a checkpoint: every other file of it must lie in place."""
    files.write_text(paths.manifest(prefix), json.dumps(asdict(manifest), indent=1) + "\n")


def checksum(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _another(prefix: Path) -> str:
    step = re.fullmatch(r"model-(\d+)", prefix.name)
    others = [s for s in paths.steps(prefix.parent) if not step or s != int(step[1])]
    return f"try --checkpoint {paths.model(prefix.parent, others[-1])}" if others else "no other one is in that folder"


def _short(value: Any) -> str:
    return value[:12] if isinstance(value, str) else str(value)
