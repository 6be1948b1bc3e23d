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


def test_figures_are_measured_on_more_held_out_images_than_pictures_need():
    for settings in EvalSettings(), EvalSettings(reconstruct=True, generate=True):
        shapes = (8, 8, 1), (28, 28, 1), (32, 32, 3), (64, 64, 3), (128, 128, 3)
        assert [settings.most_fitted(shape) for shape in shapes] == [128, 128, 64, 32, 32]
    for flag in ("metrics", "rivals", "encode", "directions", "projector"):
        assert EvalSettings(**{flag: True}).most_fitted((64, 64, 3)) == 1000
    for settings in EvalSettings(metrics=True, num_fit=7), EvalSettings(num_fit=7):
        assert settings.most_fitted((64, 64, 3)) == 7
