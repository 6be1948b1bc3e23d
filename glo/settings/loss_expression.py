"""The objective as a text, `lap_l1(levels=4,weights=paper)+0.5*mse`: losses by name, with weights and arguments.

    objective = term + term + ...        term = [weight *] name [(key=value, ...)]
Here it is read and checked, before TensorFlow is imported; `glo.model.losses` computes what it says.
"""

import contextlib
import re
import reprlib
from dataclasses import dataclass
from typing import NamedTuple

from glo.runtime.errors import did_you_mean

MAX_LENGTH = 500
PLUS = re.compile(r"(?<!\d[eE])(?<!\.[eE])\+(?![^(]*\))")  # not that of 1e+3, and none within brackets
TERM = re.compile(r"\s*(?:(?P<weight>[^*()]*)\*)?\s*(?P<name>[^*()=]*?)\s*(?:\((?P<arguments>[^()]*)\))?\s*")


class Number(NamedTuple):
    """An argument from low to high; whole if its default is."""

    default: int | float
    low: int | float
    high: int | float


class Choice(NamedTuple):
    """An argument that is one of these words, by default the first."""

    words: tuple[str, ...]

    @property
    def default(self) -> str:
        return self.words[0]


LOSSES: dict[str, dict[str, Number | Choice]] = {
    "mse": {},
    "l1": {},
    "huber": {"delta": Number(1.0, 0.001, 10.0)},
    "lap_l1": {
        "levels": Number(3, 1, 8),
        "sigma": Number(1.0, 0.1, 10.0),
        "weights": Choice(("plain", "paper", "pixels")),
    },
    "local_moment": {},
    "pairwise_mse": {},
    "ssim": {},
}
WEIGHT = Number(1.0, 1e-6, 1e6)  # beyond, float32 would soon hold nothing but 0 or infinity


@dataclass(frozen=True)
class Term:
    """weight * name(arguments), every argument of the loss given."""

    weight: float
    name: str
    arguments: dict[str, int | float | str]


def parse(text: str) -> list[Term]:
    """The terms of an objective. Raises `ValueError`, naming the wrong word and the closest right one."""
    if len(text) > MAX_LENGTH:
        raise ValueError(f"at most {MAX_LENGTH} characters, not {len(text)}")
    return [_term(part) for part in PLUS.split(text)]


def describe() -> str:
    """All losses with their arguments' defaults, as they would be typed."""

    def shown(key: str, argument: Number | Choice) -> str:
        return f"{key}={'|'.join(argument.words) if isinstance(argument, Choice) else f'{argument.default:g}'}"

    return ", ".join(
        name + (f"({','.join(shown(*item) for item in arguments.items())})" if arguments else "")
        for name, arguments in LOSSES.items()
    )


def _term(text: str) -> Term:
    match = TERM.fullmatch(text)
    if not match:
        raise ValueError(f"{_quoted(text)} must look like mse, 0.5*mse or lap_l1(levels=4), and + joins several")
    name = match["name"]
    if name not in LOSSES:
        raise ValueError(f"{_quoted(name)} is not one of {', '.join(LOSSES)}{did_you_mean(name, LOSSES)}")
    weight = 1.0 if match["weight"] is None else _value(WEIGHT, match["weight"], f"the weight of {name}")
    arguments = {key: argument.default for key, argument in LOSSES[name].items()}
    given = set()
    for pair in match["arguments"].split(",") if (match["arguments"] or "").strip() else ():
        key, equals, value = (part.strip() for part in pair.partition("="))
        if key not in arguments:
            takes = ", ".join(arguments) or "no arguments"
            raise ValueError(f"{name} takes {takes}, not {_quoted(key)}{did_you_mean(key, arguments)}")
        if not equals or key in given:
            raise ValueError(f"{name} must be given {key} once, as {name}({key}={arguments[key]})")
        given.add(key)
        arguments[key] = _value(LOSSES[name][key], value, f"{key} of {name}")
    return Term(weight, name, arguments)


def _value(argument: Number | Choice, text: str, label: str) -> int | float | str:
    if isinstance(argument, Choice):
        if text not in argument.words:
            nearest = did_you_mean(text, argument.words)
            raise ValueError(f"{label} must be one of {', '.join(argument.words)}, not {_quoted(text)}{nearest}")
        return text
    kind = type(argument.default)
    with contextlib.suppress(ValueError):
        value = kind(text)
        if argument.low <= value <= argument.high:  # which nan is not
            return value
    noun = "a whole number" if kind is int else "a number"
    raise ValueError(f"{label} must be {noun} from {argument.low:g} to {argument.high:g}, not {_quoted(text)}")


def _quoted(text: str) -> str:
    return reprlib.repr(text.strip())
