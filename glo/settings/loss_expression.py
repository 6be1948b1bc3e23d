"""The grammar of --loss, such as `lap_l1(levels=4,weights=paper)+0.5*mse`: losses with weights and arguments.

    loss = term + term + ...        term = [weight *] name [(key=value, ...)]
This module parses and checks the text before TensorFlow is imported; `glo.model.losses` computes the losses.
"""

import contextlib
import re
import reprlib
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from glo.runtime.errors import did_you_mean
from glo.settings import numbers

MAX_LENGTH = 500  # characters
PLUS = re.compile(r"(?<!\d[eE])(?<!\.[eE])\+(?![^(]*\))")  # a plus between terms, not in 1e+3 and not in parentheses
TERM = re.compile(r"\s*(?:(?P<weight>[^*()]*)\*)?\s*(?P<name>[^*()=]*?)\s*(?:\((?P<arguments>[^()]*)\))?\s*")


class Number(NamedTuple):
    """A numeric argument from low to high. Its type, int or float, is that of the default."""

    default: int | float
    low: int | float
    high: int | float


class Choice(NamedTuple):
    """An argument that is one of several words. The first word is the default."""

    words: tuple[str, ...]

    @property
    def default(self) -> str:
        return self.words[0]


class Text(NamedTuple):
    """An argument that matches a regular expression. example: how it may look, for --help and errors.

    A text contains no comma and no parenthesis.
    """

    default: str
    pattern: str
    example: str


PERCEPTUAL = "perceptual"
# The arguments of each loss in `glo.model.losses.LOSSES`, and of the perceptual one; a test compares the two.
Argument = Number | Choice | Text
LOSSES: dict[str, dict[str, Argument]] = {
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
    PERCEPTUAL: {
        "network": Text("classifier", r"classifier|vgg16|.+\.(h5|npz)", "classifier|vgg16|FILE.npz"),
        "sha256": Text("", "[0-9a-f]{64}", "64 of 0-9 and a-f"),
    },
}
WEIGHT = Number(1.0, 1e-6, 1e6)  # weights outside this range would soon underflow or overflow in float32


@dataclass(frozen=True)
class Term:
    """weight * name(arguments). Arguments are complete: those not given in the text have their defaults."""

    weight: float
    name: str
    arguments: dict[str, int | float | str]


class Network(NamedTuple):
    """The network of the loss `perceptual`: `classifier`, `vgg16`, or the path of a file with its SHA-256, or ""."""

    name: str
    sha256: str = ""

    @property
    def file(self) -> Path | None:
        """The file that holds the weights, if the user has given one."""
        return None if self.name in ("classifier", "vgg16") else Path(self.name)


def network(text: str) -> Network | None:
    """The network that a loss needs, or None. Raises `ValueError` as `parse` does."""
    networks = (Network(*term.arguments.values()) for term in parse(text) if term.name == PERCEPTUAL)
    return next(networks, None)


def parse(text: str) -> list[Term]:
    """Parse the terms of a loss. Raises `ValueError` that quotes the wrong word and suggests the closest valid one."""
    if len(text) > MAX_LENGTH:
        raise ValueError(f"at most {MAX_LENGTH} characters, not {len(text)}")
    terms = [_parse_term(part) for part in PLUS.split(text)]
    if sum(term.name == PERCEPTUAL for term in terms) > 1:
        raise ValueError(f"{PERCEPTUAL} may appear once: a run has one network for it")
    return terms


def describe() -> str:
    """All losses with their arguments and defaults, in the grammar of --loss, for --help."""

    def value(argument: Argument) -> str:
        if isinstance(argument, Text):
            return argument.example
        return "|".join(argument.words) if isinstance(argument, Choice) else f"{argument.default:g}"

    def described(arguments: dict[str, Argument]) -> str:
        pairs = [f"{key}={value(argument)}" for key, argument in arguments.items() if argument.default != ""]
        return f"({','.join(pairs)})" if pairs else ""

    return ", ".join(name + described(arguments) for name, arguments in LOSSES.items())


def _parse_term(text: str) -> Term:
    match = TERM.fullmatch(text)
    if not match:
        raise ValueError(f"{_quoted(text)} must look like mse, 0.5*mse or lap_l1(levels=4), and + joins several")
    name = match["name"]
    if name not in LOSSES:
        raise ValueError(f"{_quoted(name)} is not one of {', '.join(LOSSES)}{did_you_mean(name, LOSSES)}")
    weight = 1.0 if match["weight"] is None else _parse_value(WEIGHT, match["weight"], f"the weight of {name}")
    arguments = {key: argument.default for key, argument in LOSSES[name].items()}
    seen = set()
    for pair in match["arguments"].split(",") if (match["arguments"] or "").strip() else ():
        key, equals, value = (part.strip() for part in pair.partition("="))
        if key not in arguments:
            allowed = ", ".join(arguments) or "no arguments"
            raise ValueError(f"{name} takes {allowed}, not {_quoted(key)}{did_you_mean(key, arguments)}")
        if not equals or key in seen:
            raise ValueError(f"{name} takes {key} once, as in {name}({key}={arguments[key]})")
        seen.add(key)
        arguments[key] = _parse_value(LOSSES[name][key], value, f"{key} of {name}")
    if name == PERCEPTUAL and arguments["sha256"] and Network(*arguments.values()).file is None:
        raise ValueError(f"sha256 of {PERCEPTUAL} is that of a file: drop it, or give network=FILE")
    return Term(weight, name, arguments)


def _parse_value(argument: Argument, text: str, label: str) -> int | float | str:
    if isinstance(argument, Text):
        if not re.fullmatch(argument.pattern, text):
            raise ValueError(f"{label} must look like {argument.example}, not {_quoted(text)}")
        return text
    if isinstance(argument, Choice):
        if text not in argument.words:
            suggestion = did_you_mean(text, argument.words)
            raise ValueError(f"{label} must be one of {', '.join(argument.words)}, not {_quoted(text)}{suggestion}")
        return text
    kind = type(argument.default)
    with contextlib.suppress(ValueError):
        value = numbers.parse(text.strip(), kind)
        if argument.low <= value <= argument.high:  # false for nan
            return value
    noun = "a whole number" if kind is int else "a number"
    raise ValueError(f"{label} must be {noun} from {argument.low:g} to {argument.high:g}, not {_quoted(text)}")


def _quoted(text: str) -> str:
    return reprlib.repr(text.strip())
