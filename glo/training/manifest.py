"""What a checkpoint says of itself: model-<step>.json, read and checked before TensorFlow is loaded.

It is written after the checkpoint's other files and lists them with their SHA-256, so a checkpoint is complete exactly
if its manifest is there, and sound exactly if the sums agree. Codes belong to rows: the manifest therefore also names
the very images, in order, that the codes were learned for.
"""

import hashlib
import json
import math
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from glo.data.conditions import Conditions, blank
from glo.data.dataset import Dataset
from glo.runtime import files, paths
from glo.runtime.errors import UserError
from glo.runtime.log import logger
from glo.settings import TrainSettings, fields
from glo.training import bundle
from glo.workers import shards
from glo.workers.cluster import MAX_WORKERS

if TYPE_CHECKING:
    from glo.features.loss_network import LossNetwork

FORMAT = 1
MAX_BYTES = 1 << 20
MAX_STEP = 1 << 62
MAX_SIDE = 1 << 14  # of images, in pixels

# What `data` holds, by the words that errors use.
IMAGE_SHAPE, DIMENSION, TRAINING_IMAGES = "image shape", "code dimension", "training images"
NETWORK = "SHA-256 of the loss network"
CLASSES, ATTRIBUTES, LABELS = "classes", "attributes", "labels of the classes"


@dataclass(frozen=True)
class Manifest:
    """step: steps taken. settings: the run's stored settings. data: see `describe`. files: SHA-256 by file name.

    numerics: what the bits of the run depend on besides, see `glo.runtime.device.numerics`; {} in older checkpoints.
    shards: number of workers, each of which has written its rows of the code table to files of their own if there were
    several.
    """

    step: int
    settings: dict[str, Any]
    data: dict[str, Any]
    files: dict[str, str]
    format: int = FORMAT
    numerics: dict[str, Any] = field(default_factory=dict)
    shards: int = 1

    def resolved(self, prefix: Path) -> TrainSettings:
        """The settings, checked like any other input."""
        settings = {"precision": "float32", **self.settings}  # the only precision before there was this setting
        return fields.resolve(TrainSettings, fields.Layer(str(paths.manifest(prefix)), settings))

    def shard_prefixes(self, prefix: Path) -> list[Path]:
        """The prefixes of the files with the code table; none if it is in the same files as all else."""
        return [paths.shard(prefix, i, self.shards) for i in range(self.shards)] if self.shards > 1 else []

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


def describe(dataset: Dataset, network: "LossNetwork | None" = None) -> dict[str, Any]:
    """What ties a code table to a dataset: images and their order, code dimension, rows trained on, and conditions.

    network: of the loss `perceptual`, if there is one, which `check_network` recognises.
    """
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
    if network:
        data[NETWORK] = network.sha256
    return data


def difference(manifest: Manifest, dataset: Dataset) -> str | None:
    """How a dataset differs from the checkpoint's, in words; None if it is the same."""
    for name, value in describe(dataset).items():
        if manifest.data.get(name) != value:
            return f"its {name} is {short(value)} and the checkpoint's {short(manifest.data.get(name))}"
    return None


def check_dataset(manifest: Manifest, dataset: Dataset, prefix: Path) -> None:
    """Refuse a dataset other than the checkpoint's, naming what differs."""
    if mismatch := difference(manifest, dataset):
        raise UserError(
            f"{dataset.path} is not what {prefix} was trained on: {mismatch}; learned codes belong to their rows, give "
            "the dataset of that run"
        )


def check_network(manifest: Manifest, network: "LossNetwork | None", prefix: Path) -> None:
    """Raise `UserError` if the network of the loss `perceptual`, or None, is not that of the checkpoint."""
    saved = manifest.data.get(NETWORK)
    if network and network.sha256 != saved:
        raise UserError(
            f"the loss of {prefix} compares maps of another network: the SHA-256 of its weights is {short(saved)}, not "
            f"{short(network.sha256)}; restore the file perceptual-*.npz beside the dataset, or the weights of VGG16"
        )


def newest_run(train_dir: str, dataset: str) -> Path:
    """The newest run folder of a dataset that holds a checkpoint. Raises `UserError` if there is none.

    The dataset is the one that the run recorded, since names of folders are ambiguous: `my-cats` ends with `cats`.
    """
    for run in paths.runs(train_dir):
        if paths.steps(run) and (_recorded_dataset(run) or "").lower() == dataset.lower():
            return run
    raise UserError(
        f"no run of {dataset} with a checkpoint in {train_dir}: type python trainer.py --dataset {dataset}, or give "
        "--checkpoint"
    )


def _recorded_dataset(run: Path) -> str | None:
    """The name of the dataset that a run was trained on; None, with a warning, if nothing in its folder states it."""
    try:
        name = fields.read_yaml(paths.config(run)).values.get("dataset")
    except UserError:
        name = None  # older runs have no config.yaml
    if not isinstance(name, str):
        try:
            name = _parse(paths.model(run, paths.steps(run)[-1])).settings["dataset"]
        except (OSError, ValueError) as error:
            logger.warning("%s is left out, because it does not state its dataset: %s", run, error)
            return None
    return name


def locate(path: str) -> tuple[Path, bool]:
    """The prefix <run>/model-<step> that --checkpoint names, and whether it names a run folder (its newest one)."""
    given = Path(path)
    try:
        if given.is_dir():
            if steps := paths.steps(given):
                return paths.model(given, steps[-1]), True
            raise UserError(f"{given} holds no complete checkpoint (model-<step>.json): give a run folder that does")
        prefix = given.with_name(re.sub(r"\.(index|json|data-.*)$", "", given.name))
        if paths.manifest(prefix).exists():
            return prefix, False
        folder = prefix.parent
        if folder.is_dir() and (steps := paths.steps(folder)):
            raise UserError(f"no checkpoint {prefix}: {folder} has steps {', '.join(map(str, steps))}")
    except OSError as error:
        raise UserError(f"cannot read the checkpoint {given}: {error.strerror}; give another --checkpoint") from None
    raise UserError(f"no checkpoint {prefix}: give a run folder, or <run folder>/model-<step>")


def require_encoder(prefix: Path, settings: TrainSettings) -> None:
    """Raise `UserError` if a checkpoint has no encoder. settings: of its run."""
    if not (settings.has_encoder or paths.encoder(prefix).exists()):
        raise UserError(f"{prefix} has no encoder: type python trainer.py --checkpoint {prefix} --encoder")


def read(prefix: Path) -> Manifest:
    """Read a manifest, and check that the files of the checkpoint are unchanged and hold what the manifest states.

    Raises `UserError` otherwise.
    """
    path = paths.manifest(prefix)
    try:
        manifest = _parse(prefix)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}; {_another(prefix)}") from None
    except ValueError as error:
        raise UserError(f"{path} is not a manifest that this version reads ({error}): {_another(prefix)}") from None
    settings = manifest.resolved(prefix)
    for name, expected in manifest.files.items():
        part = prefix.parent / name
        try:
            actual = checksum(part)
        except FileNotFoundError:
            raise UserError(f"{part} is missing, so this checkpoint cannot be used: {_another(prefix)}") from None
        except OSError as error:
            raise UserError(f"cannot read {part}: {error.strerror}; {_another(prefix)}") from None
        if actual != expected:
            raise UserError(f"{part} is damaged (its checksum differs): {_another(prefix)}")
    try:
        _check_contents(manifest, settings, prefix)
    except (OSError, ValueError) as error:
        raise UserError(f"{prefix} is not a sound checkpoint ({error}): {_another(prefix)}") from None
    return manifest


def _parse(prefix: Path) -> Manifest:
    """Read a manifest and check its fields, but not the other files.

    Raises `ValueError`, with the reason, for fields of a wrong type or value, and `OSError`.
    """
    try:
        content = json.loads(files.read_text(paths.manifest(prefix), MAX_BYTES))
        manifest = Manifest(**content)
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    except TypeError:
        raise ValueError("it does not have the fields of a manifest") from None
    data, sums = manifest.data, manifest.files
    if not all(isinstance(part, dict) for part in (manifest.settings, data, sums, manifest.numerics)):
        raise ValueError("it does not have the fields of a manifest")
    if manifest.format != FORMAT:
        raise ValueError("it has another format")
    if type(manifest.step) is not int or not 0 <= manifest.step <= MAX_STEP:
        raise ValueError("its step is not a number of steps")
    if not isinstance(manifest.settings.get("dataset"), str):
        raise ValueError("its settings do not name the dataset")
    counts, shape = [data.get(name) for name in (DIMENSION, TRAINING_IMAGES)], data.get(IMAGE_SHAPE)
    if not isinstance(shape, list) or not all(type(count) is int and count > 0 for count in [*counts, *shape]):
        raise ValueError("it does not state the image shape, the number of images and the dimension of their codes")
    if len(shape) != 3 or shape[2] not in (1, 3) or max(shape) > MAX_SIDE:
        raise ValueError("its image shape is not one of images")
    _check_condition(data)
    if not isinstance(data.get(NETWORK, ""), str):
        raise ValueError("it does not name the network of its loss")
    if type(manifest.shards) is not int or not 1 <= manifest.shards <= MAX_WORKERS:
        raise ValueError("its number of shards is not one of workers")
    if sums.keys() != {file.name for part in (prefix, *manifest.shard_prefixes(prefix)) for file in bundle.files(part)}:
        raise ValueError(f"it does not list the other files of {prefix.name}")
    if not all(isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) for value in sums.values()):
        raise ValueError("it lists files without their checksums")
    return manifest


def _check_condition(data: dict[str, Any]) -> None:
    """Raise `ValueError` unless the names of the condition, if there is one, are texts, and each class has a label."""
    lists = [data.get(name, []) for name in (CLASSES, ATTRIBUTES, LABELS)]
    if all(isinstance(values, list) for values in lists):
        classes, attributes, labels = lists
        named = all(isinstance(name, str) for name in [*classes, *attributes])
        numbered = len(labels) == len(classes) and all(type(label) is int for label in labels)
        if named and numbered and not (classes and attributes):
            return
    raise ValueError("it does not name the classes or attributes of the condition")


def _check_contents(manifest: Manifest, settings: TrainSettings, prefix: Path) -> None:
    """Raise `ValueError` unless step, code table and conditions are those that the manifest states.

    This comes before a model of that size is built, for which a forged manifest could ask all memory.
    """
    entries, n = bundle.read(prefix), manifest.training_images
    step = entries.get("step")
    if step is None or (step.dtype, step.shape) != (np.int64, ()) or step.read() != manifest.step:
        raise ValueError("it holds another step than its manifest states")
    for i, part in enumerate(manifest.shard_prefixes(prefix) or [prefix]):
        codes = (bundle.read(part) if manifest.shards > 1 else entries).get("table/codes")
        rows = shards.length(n, i, manifest.shards) * (1 + settings.copies(n))
        if codes is None or codes.shape != (rows, manifest.dimension):
            raise ValueError("it holds other codes than its manifest states")
    if settings.method == "pca":  # whose networks have as many inputs as an image has values
        basis = entries.get("state/basis")
        if basis is None or basis.shape[:1] != (math.prod(manifest.image_shape),):
            raise ValueError("it holds a basis of other images than its manifest states")
    expected, conditions = manifest.conditions(), entries.get("conditions")
    shape = expected.values.shape if expected.names else None
    if shape != (conditions and conditions.shape) or (shape is None) != (settings.conditional is None):
        raise ValueError("it holds other conditions than its manifest states")


def write(prefix: Path, manifest: Manifest) -> None:
    """Complete a checkpoint: every other file of it must lie in place."""
    content = asdict(manifest)
    if manifest.shards == 1:
        del content["shards"]  # earlier versions do not know it
    files.write_text(paths.manifest(prefix), json.dumps(content, indent=1) + "\n")


def checksum(path: Path) -> str:
    """SHA-256 of a file. Raises `OSError` if it cannot be read."""
    with files.open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _another(prefix: Path) -> str:
    step = re.fullmatch(r"model-(\d+)", prefix.name)
    others = [s for s in paths.steps(prefix.parent) if not step or s != int(step[1])]
    return f"try --checkpoint {paths.model(prefix.parent, others[-1])}" if others else "no other one is in that folder"


def short(value: Any) -> str:
    """A value as part of an error: of a checksum, the first digits."""
    return value[:12] if isinstance(value, str) else str(value)
