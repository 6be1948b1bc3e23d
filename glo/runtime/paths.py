"""Names of dataset folders, run folders and the files in them, and functions that list existing runs and checkpoints.

Other modules build such a path only through the functions here.
"""

import os
import re
import time
from datetime import datetime
from pathlib import Path

from glo.runtime.errors import UserError

DATASET_FILE = "data.hdf5"
DATASET_FILES = (DATASET_FILE, "data.hy")  # names that are read, in order of preference
ID_FILE = "id.txt"
CONFIG_FOLDER = Path(__file__).resolve().parent.parent.parent / "configs"
TIMESTAMP = "%Y%m%d-%H%M%S"
PROJECTOR_CODES, PROJECTOR_METADATA, PROJECTOR_SPRITE = "codes.tsv", "metadata.tsv", "sprite.png"


def dataset_folder(data_dir: str, name: str) -> Path:
    """The folder <data_dir>/<name> if it exists, else the same in lower case, where known datasets are built."""
    folder = Path(data_dir, name)
    return folder if os.path.isdir(folder) else Path(data_dir, name.lower())


def dataset_file(folder: Path) -> Path | None:
    """The data file of a dataset folder, or None if there is none."""
    return next((folder / name for name in DATASET_FILES if os.path.exists(folder / name)), None)


def partial_files(folder: Path) -> tuple[Path, Path, Path]:
    """The files of an unfinished build: its data, its journal, and the ids of the rows written so far."""
    return folder / f".partial-{DATASET_FILE}", folder / ".partial.json", folder / f".partial-{ID_FILE}"


def contact_sheet(folder: Path) -> Path:
    """A picture of some images of a dataset, beside its data file."""
    return folder / "contact_sheet.png"


def extractor(folder: Path, name: str, key: str) -> Path:
    """The weights of an extractor trained on a dataset, beside its data file. key: distinguishes its training data."""
    return folder / f"{name}-{key}.npz"


def perceptual(folder: Path, key: str) -> Path:
    """The weights of the network of the loss `perceptual` that was trained on a dataset, beside its data file."""
    return folder / f"perceptual-{key}.npz"


def config_file(dataset: str) -> Path:
    """The shipped configuration for a dataset, or the default one if the dataset has none."""
    path = CONFIG_FOLDER / f"{dataset.lower()}.yaml"
    return path if path.is_file() else CONFIG_FOLDER / "default.yaml"


def new_run_folder(train_dir: str, prefix: str, dataset: str, learning_rate: float) -> Path:
    """Create and return the folder <train_dir>/<prefix>-<dataset>_lr_<learning_rate>-<YYYYmmdd-HHMMSS>.

    Two runs never share a folder. Raises `UserError` if the folder cannot be created.
    """
    while True:
        run = Path(train_dir, f"{prefix}-{dataset}_lr_{learning_rate:g}-{datetime.now().strftime(TIMESTAMP)}")
        try:
            run.mkdir(parents=True)
            return run
        except FileExistsError:
            if not Path(train_dir).is_dir():
                raise UserError(f"cannot make {run}: {train_dir} is a file; choose another --train_dir") from None
            time.sleep(0.2)  # another run started within the same second: wait for the next one
        except OSError as error:
            raise UserError(f"cannot make {run}: {error.strerror}; choose another --train_dir") from None


def runs(train_dir: str) -> list[Path]:
    """The run folders in `train_dir`, newest first; an empty list if it does not exist."""
    folder = Path(train_dir)
    pattern = re.compile(r".+_lr_.+-(\d{8}-\d{6})")
    names = contents(folder) if os.path.isdir(folder) else []
    timestamped = [(match[1], name) for name in names if (match := pattern.fullmatch(name))]
    return [folder / name for _, name in sorted(timestamped, reverse=True) if os.path.isdir(folder / name)]


def contents(folder: Path) -> list[str]:
    """The names in a folder, sorted. Raises `UserError` if it cannot be read."""
    try:
        return sorted(os.listdir(folder))
    except OSError as error:
        raise UserError(f"cannot read the folder {folder}: {error.strerror}; give another one") from None


def model(run: Path, step: int) -> Path:
    """The prefix of a checkpoint's files: <run>/model-<step>."""
    return run / f"model-{step}"


def shard(prefix: Path, index: int, count: int) -> Path:
    """The prefix of the files of a worker's part of the code table, in a checkpoint of several workers."""
    return prefix.with_name(f"{prefix.name}.codes-{index:05d}-of-{count:05d}")


def manifest(prefix: Path) -> Path:
    """The manifest of a checkpoint. It lists the other files with their checksums, and is written last."""
    return prefix.with_name(f"{prefix.name}.json")


def steps(run: Path) -> list[int]:
    """The step numbers of the complete checkpoints of a run, ascending. A checkpoint is complete with its manifest.

    Raises `UserError` if the folder cannot be read.
    """
    matches = (re.fullmatch(r"model-(0|[1-9][0-9]{0,18})\.json", name) for name in contents(run))
    return sorted(int(match[1]) for match in matches if match)


def encoder(prefix: Path) -> Path:
    """The file of the encoder of a checkpoint: <run>/encoder-<step>.npz."""
    return prefix.with_name(f"{prefix.name.replace('model', 'encoder', 1)}.npz")


def config(run: Path) -> Path:
    return run / "config.yaml"


def metrics(run: Path) -> Path:
    return run / "metrics.jsonl"


def log(run: Path) -> Path:
    return run / "log.txt"


def grids(run: Path) -> Path:
    """The folder of the reconstruction grids, one per epoch."""
    return run / "reconstructions"


def grid(run: Path, epoch: int) -> Path:
    return grids(run) / f"epoch-{epoch:05d}.png"


def existing_grids(run: Path) -> list[Path]:
    """The reconstruction grids that a run has drawn, in the order of epochs."""
    matches = ((re.fullmatch(r"epoch-(\d{5,})\.png", path.name), path) for path in grids(run).iterdir())
    return [path for _, path in sorted((int(match[1]), path) for match, path in matches if match)]


def animation(run: Path) -> Path:
    return run / "training.gif"


def loss_curve(run: Path) -> Path:
    return run / "loss.png"


def dump(run: Path, step: int) -> Path:
    return run / f"dump_result_{step}.hdf5"


def sampler(run: Path, name: str, step: int, image_class: str | None = None) -> Path:
    """The file that caches a sampler fitted to the codes of a checkpoint.

    image_class: key of the class whose codes it was fitted to; None if it was fitted to all codes.
    """
    return run / "samplers" / f"{name}-{step}{f'-{image_class}' if image_class else ''}.npz"


def stale_samplers(run: Path) -> list[Path]:
    """The sampler files, named as by `sampler`, whose checkpoints no longer exist."""
    existing = set(steps(run))
    matches = ((re.fullmatch(r"[a-z]+-(\d+)(-[a-z]+-+\d+)?\.npz", path.name), path) for path in run.glob("samplers/*"))
    return [path for match, path in matches if match and int(match[1]) not in existing]


def cache() -> Path:
    """The folder of downloads that do not belong to a dataset: glo-toolkit in $XDG_CACHE_HOME or ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "glo-toolkit"


def evaluation(run: Path, step: int) -> Path:
    """The folder that an evaluation of the checkpoint at `step` writes to."""
    return run / f"eval-{step}"


def evaluation_metrics(folder: Path) -> Path:
    return folder / "metrics.json"


def projector_config(folder: Path) -> Path:
    """The file in which TensorBoard's embedding projector looks for points; TensorBoard fixes its name."""
    return folder / "projector_config.pbtxt"


def projector_data(folder: Path) -> Path:
    """The folder of the points of `projector_config`: `PROJECTOR_CODES` and the other files named so."""
    return folder / "projector"
