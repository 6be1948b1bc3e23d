"""The registry of tasks agrees with the settings."""

import dataclasses
import typing

import pytest

from glo.evaluation.registry import TASKS
from glo.runtime.errors import UserError
from glo.settings import EvalSettings

FLAGS = [flag for task in TASKS.values() for flag in task.flags]


def test_every_setting_of_the_group_tasks_requests_a_task_or_compares_runs():
    grouped = [field.name for field in dataclasses.fields(EvalSettings) if field.metadata["group"] == "tasks"]
    assert sorted(grouped) == sorted([*FLAGS, "compare"])


@pytest.mark.parametrize("flag", FLAGS)
def test_runs_are_compared_without_any_other_task(flag):
    kind = typing.get_type_hints(EvalSettings)[flag]
    value = True if kind is bool else 0.0 if kind == float | None else "value"
    with pytest.raises(UserError, match="drop --checkpoint and the other tasks"):
        EvalSettings(compare=("train_dir",), **{flag: value}).check()
