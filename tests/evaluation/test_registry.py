"""The registry of tasks agrees with the settings."""

import dataclasses
import typing

import pytest

from glo.evaluation.registry import TASKS, requested
from glo.runtime.errors import UserError
from glo.settings import EvalSettings

FLAGS = [flag for task in TASKS.values() for flag in task.flags]


def test_every_setting_of_the_group_tasks_requests_a_task_or_compares_runs():
    grouped = [field.name for field in dataclasses.fields(EvalSettings) if field.metadata["group"] == "tasks"]
    assert sorted(grouped) == sorted([*FLAGS, "compare"])


def value(flag):
    """A value with which a setting is given; 0 for numbers, as in --denoise 0."""
    kind = typing.get_type_hints(EvalSettings)[flag]
    return True if kind is bool else 0.0 if kind == float | None else "value"


@pytest.mark.parametrize("flag", FLAGS)
def test_a_flag_that_names_an_output_switches_the_default_tasks_off(flag):
    assert set(requested(EvalSettings(**{flag: value(flag)}))) == {
        name for name, task in TASKS.items() if flag in task.flags
    }


@pytest.mark.parametrize("flag", FLAGS)
def test_runs_are_compared_without_any_other_task(flag):
    with pytest.raises(UserError, match="drop --checkpoint and the other tasks"):
        EvalSettings(compare=("train_dir",), **{flag: value(flag)}).check()
