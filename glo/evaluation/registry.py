"""The tasks of evaler.py by name. To add a task, write a module with `run(session) -> dict` and add it to `TASKS`.

The dict that a task returns is merged into metrics.json. A task is requested by any of its flags. If no task is
requested, the default tasks run.
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
    """A task of evaler.py.

    module: name of its module in `glo.evaluation`. flags: names of the settings that request it, if they are neither
    None nor False. default: whether it runs if no task is requested.
    """

    module: str
    flags: tuple[str, ...]
    default: bool = False

    @property
    def run(self) -> Callable[["Session"], dict[str, Any]]:
        """The function `run` of the module, which is imported only now, since it imports TensorFlow."""
        return importlib.import_module(f"glo.evaluation.{self.module}").run

    def requested(self, settings: EvalSettings) -> bool:
        """Whether at least one of its flags is given."""
        return any(map(settings.requests, self.flags))


TASKS = {
    "restore": Task("restore", ("images", "inpaint", "denoise")),
    "reconstruct": Task("reconstruct", ("reconstruct",), default=True),
    "encode": Task("encode", ("encode",)),
    "generate": Task("generate", ("generate", "label", "export_samples"), default=True),
    "class_sweep": Task("class_sweep", ("class_sweep",)),
    "style_sweep": Task("style_sweep", ("style_sweep",)),
    "per_class": Task("per_class", ("per_class",)),
    "interpolate": Task("interpolate", ("interpolate",), default=True),
    "analogy": Task("analogy", ("analogy",)),
    "attributes": Task("attributes", ("attributes",)),
    "directions": Task("directions", ("directions",)),
    "projector": Task("projector", ("projector",)),
    "neighbors": Task("neighbors", ("neighbors",)),
    "metrics": Task("measure", ("metrics",)),
    "rivals": Task("rivals", ("rivals",)),
    "export": Task("export", ("export",)),
    "explore": Task("explore", ("explore",)),
    "decode": Task("decode", ("decode",)),
}


def requested(settings: EvalSettings) -> dict[str, Task]:
    """The tasks to run, in the order of `TASKS`."""
    tasks = {name: task for name, task in TASKS.items() if task.requested(settings)}
    if {"encode", "attributes"} & set(tasks):  # which use the pictures of --images
        tasks.pop("restore", None)
    if "restore" in tasks:  # which reconstructs the given pictures
        tasks.pop("reconstruct", None)
    if "style_sweep" in tasks and not any(map(settings.requests, ("generate", "export_samples"))):
        tasks.pop("generate", None)  # --label names the class of the sweep
    return tasks or {name: task for name, task in TASKS.items() if task.default}
