"""Settings: typed dataclasses from which the command line is made, checked before anything heavy is imported.

A settings class lists its fields with `setting(default, help, ...)`. `parse` turns a command line into the values that
were typed, `read_yaml` a file into the values that it holds, and `resolve` lays such layers over the defaults, checks
every value and builds the dataclass. Every problem is one `UserError` that names the flag or the file.
"""

import argparse
import dataclasses
import math
import re
import reprlib
import types
import typing
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from glo.runtime.errors import UserError, did_you_mean

T = TypeVar("T")
PLAIN_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}"  # short enough to be part of a file name


class Layer(NamedTuple):
    """Values by setting name, and where they come from: `flags` are named --alpha in errors, files by their path."""

    origin: str
    values: dict[str, Any]


FLAGS = "flags"


def setting(
    default: Any,
    help: str,
    *,
    group: str = "settings",
    choices: Iterable[str | int] | None = None,
    low: float | None = None,
    above: float | None = None,
    high: float | None = None,
    pattern: str | None = None,
    check: Callable[[str], Any] | None = None,
    stored: bool = True,
    **metadata: Any,
) -> Any:
    """A dataclass field with its help text and limits: low <= value <= high, value > above, a full match of `pattern`,
    and whatever else `check` looks at, which raises `ValueError` with what is wrong.

    group: the heading in --help. `stored=False` keeps it out of the saved settings: it says what to do once, not what
    the run is.
    """
    limits = {
        "choices": choices and tuple(choices),
        "low": low,
        "above": above,
        "high": high,
        "pattern": pattern,
        "check": check,
    }
    about = {"help": help, "group": group, "stored": stored}
    return dataclasses.field(default=default, metadata=about | limits | metadata)


def parse(cls: type, argv: list[str] | None, description: str) -> Layer:
    """Read a command line (None: the process's own). Only what was typed is returned; prints the help and exits 0."""
    parser = _Parser(
        usage="%(prog)s [--SETTING VALUE ...]",
        description=description,
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
    )
    hints = typing.get_type_hints(cls)
    names = dict.fromkeys(field.metadata["group"] for field in dataclasses.fields(cls))
    groups = {name: parser.add_argument_group(name) for name in names}
    for field in dataclasses.fields(cls):
        kind, _ = _unwrap(hints[field.name])
        choices = field.metadata["choices"]
        metavar = f"{{{','.join(map(str, choices))}}}" if choices else kind.__name__.upper()
        text = field.metadata["help"].replace("%", "%%")
        if field.default not in (None, ()) and field.default is not False:
            text += f" (default {field.default})"
        if kind is bool:
            how = {"action": argparse.BooleanOptionalAction}
        elif kind is tuple:
            how = {"nargs": "+", "metavar": field.metadata.get("metavar", "VALUE")}
        else:
            how = {"metavar": field.metadata.get("metavar", metavar)}
        groups[field.metadata["group"]].add_argument(f"--{field.name}", help=text, **how)
    values, unknown = parser.parse_known_args(argv)
    if unknown:
        word = unknown[0].split("=")[0]
        if not word.startswith("-"):
            raise UserError(f"unexpected word '{word}' on the command line: settings are flags, see --help")
        known = [f"--{field.name}" for field in dataclasses.fields(cls)]
        raise UserError(f"unknown flag {word}{did_you_mean(word, known)}; --help lists them all")
    return Layer(FLAGS, vars(values))


def read_yaml(path: Path) -> Layer:
    """The values of a YAML file: one flat mapping of setting names. A missing or malformed file is a `UserError`."""
    import yaml

    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"no config file {path}: give --config an existing YAML file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read config file {path}: {error}") from None
    # Besides its own errors, the parser lets those of Python through for values such as 2020-13-45 or !!int ''.
    except (yaml.YAMLError, RecursionError, ValueError, LookupError, AttributeError) as error:
        raise UserError(f"{path} is not valid YAML: {error}") from None
    if values is None:
        values = {}
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise UserError(f"{path} must be lines of 'setting: value', not a {type(values).__name__}")
    return Layer(str(path), values)


def write_yaml(settings: Any) -> str:
    """The stored settings as YAML text that `read_yaml` gives back unchanged."""
    import yaml

    return yaml.safe_dump(stored(settings), sort_keys=False, allow_unicode=True)


def stored(settings: Any) -> dict[str, Any]:
    """The settings that belong to the run, as plain values by name."""
    return {f.name: getattr(settings, f.name) for f in dataclasses.fields(settings) if f.metadata["stored"]}


def resolve(cls: type[T], *layers: Layer) -> T:
    """Lay the layers over the defaults, the last one winning, and check every value's name, type and limits."""
    fields = {field.name: field for field in dataclasses.fields(cls)}
    hints = typing.get_type_hints(cls)
    merged: dict[str, Any] = {}
    for layer in layers:
        for name, value in layer.values.items():
            if name not in fields:
                raise UserError(f"{layer.origin}: unknown setting '{name}'{did_you_mean(name, fields)}")
            label = f"--{name}" if layer.origin == FLAGS else f"{layer.origin}: {name}"
            merged[name] = _checked(value, hints[name], fields[name].metadata, label)
    return cls(**merged)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> typing.NoReturn:
        raise UserError(f"{message}; --help lists all flags")


def _unwrap(hint: Any) -> tuple[type, bool]:
    """(int, True) for `int | None`; (tuple, False) for `tuple[str, ...]`."""
    optional = isinstance(hint, types.UnionType)
    if optional:
        hint = next(part for part in typing.get_args(hint) if part is not types.NoneType)
    return typing.get_origin(hint) or hint, optional


def _checked(value: Any, hint: Any, limits: typing.Mapping[str, Any], label: str) -> Any:
    kind, optional = _unwrap(hint)
    if value is None and optional:
        return None
    if kind is tuple:
        if not isinstance(value, list | tuple):
            raise UserError(f"{label} must be a list, not {_shown(value)}")
        return tuple(_checked(item, str, limits, label) for item in value)
    value = _converted(value, kind, label)
    choices, low, above, high = (limits[key] for key in ("choices", "low", "above", "high"))
    if choices and value not in choices:
        words = [str(choice) for choice in choices]
        raise UserError(f"{label} must be one of {', '.join(words)}, not '{value}'{did_you_mean(str(value), words)}")
    if low is not None and value < low:
        raise UserError(f"{label} must be at least {low}, not {value}")
    if above is not None and value <= above:
        raise UserError(f"{label} must be greater than {above}, not {value}")
    if high is not None and value > high:
        raise UserError(f"{label} must be at most {high}, not {value}")
    if limits["pattern"] and not re.fullmatch(limits["pattern"], value):
        raise UserError(f"{label} must look like {limits.get('example', limits['pattern'])}, not '{value}'")
    if limits["check"]:
        try:
            limits["check"](value)
        except ValueError as error:
            raise UserError(f"{label}: {error}") from None
    return value


def _converted(value: Any, kind: type, label: str) -> Any:
    """Command lines give text, and YAML gives text for numbers such as 1e-5: numbers are read from text, strictly."""
    try:
        if kind is bool:
            if isinstance(value, bool):
                return value
        elif kind is str:
            if isinstance(value, str) and value.encode() and "\0" not in value:  # encode: bytes that are not UTF-8
                return value
        elif isinstance(value, str) or (isinstance(value, int | float) and not isinstance(value, bool)):
            number = kind(value)
            if math.isfinite(number) and (isinstance(value, str) or number == value):
                return number
    except (ValueError, OverflowError):
        pass
    expected = {bool: "true or false", str: "a text", int: "a whole number", float: "a finite number"}[kind]
    raise UserError(f"{label} must be {expected}, not {_shown(value)}")


def _shown(value: Any) -> str:
    """A value in few words: a hostile file may nest lists without end, or hold a number of a million digits."""
    short = value.bit_length() <= 64 if isinstance(value, int) else isinstance(value, str | float | None)
    return reprlib.repr(value) if short else f"a {type(value).__name__} such as this"
