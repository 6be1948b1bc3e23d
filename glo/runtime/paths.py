"""The names of dataset folders, run folders, and the files in them: every such name is built here."""

import os
import re
import time
from datetime import datetime
from pathlib import Path

from glo.runtime.errors import UserError

DATASET_FILE = "data.hdf5"
OLDER_DATASET_FILES = ("data.hdf5", "data.hy")
ID_FILE = "id.txt"
CONFIG_FOLDER = Path(__file__).resolve().parent.parent.parent / "configs"
STAMP = "%Y%m%d-%H%M%S"


def dataset_folder(data_dir: str, name: str) -> Path:
    """datasets/NAME as typed if it is there, else in lower case, which is where the known datasets are built."""
    typed = Path(data_dir, name)
    return typed if os.path.isdir(typed) else Path(data_dir, name.lower())


def dataset_file(folder: Path) -> Path | None:
    """The data file of a dataset folder, or None."""
    return next((folder / name for name in OLDER_DATASET_FILES if os.path.exists(folder / name)), None)


def partial_files(folder: Path) -> tuple[Path, Path, Path]:
    """An unfinished build: its data file, its journal, and the ids so far."""
    return folder / f".partial-{DATASET_FILE}", folder / ".partial.json", folder / f".partial-{ID_FILE}"


def contact_sheet(folder: Path) -> Path:
    """Some images of a dataset, beside its data file."""
    return folder / "contact_sheet.png"


def classifier(folder: Path, key: str) -> Path:
    """The classifier that was trained on a dataset, beside its data file."""
    return folder / f"classifier-{key}.npz"


def config_file(dataset: str) -> Path:
    """The shipped recipe of a dataset, else the default one."""
    own = CONFIG_FOLDER / f"{dataset.lower()}.yaml"
    return own if own.is_file() else CONFIG_FOLDER / "default.yaml"


def new_run_folder(train_dir: str, prefix: str, dataset: str, learning_rate: float) -> Path:
    """Make and return train_dir/<prefix>-<DATASET>_lr_<lr>-<YYYYmmdd-HHMMSS>; two runs never share a folder."""
    while True:
        run = Path(train_dir, f"{prefix}-{dataset}_lr_{learning_rate:g}-{datetime.now().strftime(STAMP)}")
        try:
            run.mkdir(parents=True)
            return run
        except FileExistsError:
            if not Path(train_dir).is_dir():
                raise UserError(f"cannot make {run}: {train_dir} is a file; choose another --train_dir") from None
            time.sleep(0.2)  # another run started in this very second: take the next one
        except OSError as error:
            raise UserError(f"cannot make {run}: {error.strerror}; choose another --train_dir") from None


def runs(train_dir: str, dataset: str) -> list[Path]:
    """The run folders of a dataset, newest first."""
    name = re.compile(rf".+-{re.escape(dataset)}_lr_[^/]+-(\d{{8}}-\d{{6}})", re.IGNORECASE)
    folder = Path(train_dir)
    found = (
        [(match[1], run) for run in folder.iterdir() if (match := name.fullmatch(run.name))] if folder.is_dir() else []
    )
    return [run for _, run in sorted(found, reverse=True)]


def model(run: Path, step: int) -> Path:
    """The prefix of a checkpoint's files: <run>/model-<step>."""
    return run / f"model-{step}"


def manifest(prefix: Path) -> Path:
    """The file that makes a checkpoint complete: it is written last and lists the others with their checksums."""
    return prefix.with_name(f"{prefix.name}.json")


def steps(run: Path) -> list[int]:
    """The steps of the complete checkpoints of a run, oldest first."""
    names = (re.fullmatch(r"model-(\d+)\.json", path.name) for path in run.iterdir())
    return sorted(int(match[1]) for match in names if match)


def config(run: Path) -> Path:
    return run / "config.yaml"


def metrics(run: Path) -> Path:
    return run / "metrics.jsonl"


def log(run: Path) -> Path:
    return run / "log.txt"


def grids(run: Path) -> Path:
    """The folder of the reconstruction grids, one an epoch."""
    return run / "reconstructions"


def grid(run: Path, epoch: int) -> Path:
    return grids(run) / f"epoch-{epoch:05d}.png"


def animation(run: Path) -> Path:
    return run / "training.gif"


def loss_curve(run: Path) -> Path:
    return run / "loss.png"


def dump(run: Path, step: int) -> Path:
    return run / f"dump_result_{step}.hdf5"


def sampler(run: Path, name: str, step: int, image_class: str | None = None) -> Path:
    """What keeps a sampler that was fitted to the codes of this checkpoint, all of them or those of a class."""
    return run / "samplers" / f"{name}-{step}{f'-{image_class}' if image_class else ''}.npz"


def stale_samplers(run: Path) -> list[Path]:
    """The files named by `sampler` whose checkpoints are gone."""
    kept = set(steps(run))
    names = ((re.fullmatch(r"[a-z]+-(\d+)(-[a-z]+-+\d+)?\.npz", path.name), path) for path in run.glob("samplers/*"))
    return [path for match, path in names if match and int(match[1]) not in kept]


def evaluation(run: Path, step: int) -> Path:
    """The folder that an evaluation of this checkpoint writes to."""
    return run / f"eval-{step}"


def evaluation_metrics(folder: Path) -> Path:
    return folder / "metrics.json"
