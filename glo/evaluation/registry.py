"""The tasks of evaler.py by name. To add one: write a module with `run(session) -> dict`, and a line here.

The dict that a task returns is merged into metrics.json. A task is requested by any of its settings; those that are
done by default are so only if none is requested.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from glo.settings import EvalSettings

if TYPE_CHECKING:
    from glo.evaluation.session import Session


@dataclass(frozen=True)
class Task:
    """flags: settings of `EvalSettings` that request the task, if they are neither None nor False."""

    module: str
    flags: tuple[str, ...]
    default: bool = False

    @property
    def run(self) -> Callable[["Session"], dict[str, Any]]:
        """The task itself, imported now: it needs TensorFlow."""
        return importlib.import_module(f"glo.evaluation.{self.module}").run

    def requested(self, settings: EvalSettings) -> bool:
        """Whether one of its flags is given."""
        return any(getattr(settings, flag) not in (None, False) for flag in self.flags)


TASKS = {
    "restore": Task("restore", ("images", "inpaint", "denoise")),
    "reconstruct": Task("reconstruct", ("reconstruct",), default=True),
    "generate": Task("generate", ("generate", "label", "export_samples"), default=True),
    "class_sweep": Task("class_sweep", ("class_sweep",)),
    "style_sweep": Task("style_sweep", ("style_sweep",)),
    "per_class": Task("per_class", ("per_class",)),
    "interpolate": Task("interpolate", ("interpolate",), default=True),
    "metrics": Task("measure", ("metrics",)),
    "export": Task("export", ("export",)),
}


def requested(settings: EvalSettings) -> dict[str, Task]:
    """The tasks to do, in the order to do them in."""
    tasks = {name: task for name, task in TASKS.items() if task.requested(settings)}
    if "restore" in tasks:  # it reconstructs what it is given
        tasks.pop("reconstruct", None)
    if "style_sweep" in tasks and not (settings.generate or settings.export_samples is not None):
        tasks.pop("generate", None)  # --label names the class of the sweep
    return tasks or {name: task for name, task in TASKS.items() if task.default}
