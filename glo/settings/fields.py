"""Typed settings: dataclasses that define the command line and are checked before TensorFlow is imported.

A settings class defines its fields with `setting(default, help, ...)`. `parse` reads the values given on a command
line, `read_yaml` those in a file. `resolve` merges such layers with the defaults, checks every value and builds the
dataclass. Every error is a `UserError` that names the flag or the file.
"""

import argparse
import dataclasses
import math
import re
import reprlib
import sys
import types
import typing
import unicodedata
from collections.abc import Callable, Container, Iterable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from glo.runtime import files, terminal
from glo.runtime.errors import UserError, did_you_mean, shortened
from glo.settings import numbers

T = TypeVar("T")
MAX_BYTES = 1 << 20  # of a config file
FLOAT32_MAX = 3e38  # approximately; TensorFlow turns larger numbers into infinity
PLAIN_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}"  # short enough to be part of a file name


class Layer(NamedTuple):
    """Values by the names of settings, and their origin: `FLAGS` or the path of a file, which errors name."""

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
    const: str | None = None,
    **metadata: Any,
) -> Any:
    """Define a dataclass field with its help text and its limits. Each item of a tuple must keep the limits.

    help: one line for --help. group: heading under which --help shows it.
    choices: allowed values. low, above, high: low <= value <= high, value > above.
    pattern: regular expression that the whole value must match; `example` in `metadata` describes it in errors.
    check: function of the value that raises `ValueError` with the reason if it is wrong.
    const: value of the flag without a value, if that is allowed.
    stored: false for settings of a single call, which are not saved with a run.
    metadata: `metavar` for --help, and further attributes that commands read.
    """
    limits = {
        "choices": choices and tuple(choices),
        "low": low,
        "above": above,
        "high": high,
        "pattern": pattern,
        "check": check,
    }
    description = {"help": help, "group": group, "stored": stored, "const": const}
    return dataclasses.field(default=default, metadata=description | limits | metadata)


def parse(cls: type, argv: list[str] | None, description: str) -> Layer:
    """Read a command line (None: that of the process). The layer contains only the flags that were given, unchecked.

    With --help, prints the help and raises `SystemExit(0)`. Raises `UserError` for unknown flags.
    """
    parser = _Parser(
        usage="%(prog)s [--SETTING VALUE ...]",
        description=description,
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
    )
    hints = typing.get_type_hints(cls)
    headings = dict.fromkeys(field.metadata["group"] for field in dataclasses.fields(cls))
    groups = {heading: parser.add_argument_group(heading) for heading in headings}
    single = set()  # flags with one value
    for field in dataclasses.fields(cls):
        kind, _ = _unwrap(hints[field.name])
        choices = field.metadata["choices"]
        metavar = f"{{{','.join(map(str, choices))}}}" if choices else kind.__name__.upper()
        text = field.metadata["help"].replace("%", "%%")
        if field.default not in (None, ()) and field.default is not False:
            text += f" (default {field.default})"
        if kind is bool:
            options = {"action": argparse.BooleanOptionalAction}
        elif kind is tuple:
            options = {"nargs": "+", "metavar": field.metadata.get("metavar", "VALUE")}
        else:
            options = {"metavar": field.metadata.get("metavar", metavar)}
            if field.metadata["const"] is not None:
                options |= {"nargs": "?", "const": field.metadata["const"]}
            else:
                single.add(f"--{field.name}")
        groups[field.metadata["group"]].add_argument(f"--{field.name}", help=text, **options)
    argv = sys.argv[1:] if argv is None else argv
    values, unknown = parser.parse_known_args(_join_negative(argv, single))
    if unknown:
        word = unknown[0].split("=")[0]
        if not word.startswith("-"):
            raise UserError(f"unexpected word '{shortened(word)}' on the command line: settings are flags, see --help")
        flags = [f"--{field.name}" for field in dataclasses.fields(cls)]
        raise UserError(f"unknown flag {shortened(word)}{did_you_mean(word, flags)}; --help lists all flags")
    return Layer(FLAGS, vars(values))


def read_yaml(path: Path) -> Layer:
    """Read a YAML file: a flat mapping from names of settings to values, which are not checked yet.

    Numbers are text, as on a command line. Raises `UserError` for a missing or malformed file.
    """
    from glo.settings import config_file

    name = shortened(path)
    try:
        values = config_file.load(files.read_text(path, MAX_BYTES, "utf-8-sig"))
    except FileNotFoundError:
        raise UserError(f"no config file {name}: give --config an existing YAML file") from None
    except UnicodeDecodeError:
        raise UserError(f"cannot read config file {name}: it is not UTF-8 text") from None
    except OSError as error:
        raise UserError(f"cannot read config file {name}: {error.strerror}") from None
    except ValueError as error:
        raise UserError(f"{name} is not a valid config file: {error}") from None
    if values is None:
        values = {}
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise UserError(f"{name} must consist of lines 'setting: value', not of a {type(values).__name__}")
    return Layer(str(path), values)


def write_yaml(settings: Any) -> str:
    """Write the stored settings as YAML text, from which `read_yaml` restores the same values."""
    import yaml

    return yaml.safe_dump(stored(settings), sort_keys=False, allow_unicode=True)


def stored(settings: Any) -> dict[str, Any]:
    """The settings that are saved with a run, as plain values by name."""
    return {f.name: getattr(settings, f.name) for f in dataclasses.fields(settings) if f.metadata["stored"]}


def resolve(cls: type[T], *layers: Layer) -> T:
    """Merge layers with the defaults and build the dataclass; later layers override earlier ones.

    Raises `UserError` for an unknown name, a wrong type, or a value outside its limits.
    """
    fields = {field.name: field for field in dataclasses.fields(cls)}
    hints = typing.get_type_hints(cls)
    merged: dict[str, Any] = {}
    for layer in layers:
        for name, value in layer.values.items():
            origin = shortened(layer.origin)
            if name not in fields:
                raise UserError(f"{origin}: unknown setting '{shortened(name)}'{did_you_mean(name, fields)}")
            if layer.origin != FLAGS and not fields[name].metadata["stored"]:
                raise UserError(f"{origin}: {name} concerns a single call: remove it, and give the flag --{name}")
            label = f"--{name}" if layer.origin == FLAGS else f"{origin}: {name}"
            merged[name] = _check(value, hints[name], fields[name].metadata, label)
    return cls(**merged)


class _Parser(argparse.ArgumentParser):
    def print_help(self, file: Any = None) -> None:  # argparse itself ignores that the help cannot be written
        terminal.show(self.format_help().rstrip("\n"))

    def error(self, message: str) -> typing.NoReturn:
        raise UserError(f"{shortened(message)}; --help lists all flags")


def _join_negative(argv: Iterable[str], single: Container[str]) -> list[str]:
    """Join `--strengths -2,-1` to `--strengths=-2,-1`: argparse takes words that begin with a minus for flags.

    single: the flags that have one value.
    """
    joined: list[str] = []
    for word in argv:
        if joined and joined[-1] in single and re.match(r"-[0-9.]", word):
            joined[-1] += f"={word}"
        else:
            joined.append(word)
    return joined


def _unwrap(hint: Any) -> tuple[type, bool]:
    """The type of a hint and whether None is allowed: (int, True) for `int | None`, (tuple, False) for a tuple."""
    optional = isinstance(hint, types.UnionType)
    if optional:
        hint = next(part for part in typing.get_args(hint) if part is not types.NoneType)
    return typing.get_origin(hint) or hint, optional


def _check(value: Any, hint: Any, limits: typing.Mapping[str, Any], label: str) -> Any:
    """Return the value in the type of its hint. Raises `UserError`, which calls it `label`, if it is not allowed."""
    kind, optional = _unwrap(hint)
    if value is None and optional:
        return None
    if kind is tuple:
        if not isinstance(value, list | tuple):
            raise UserError(f"{label} must be a list, not {_abbreviate(value)}")
        return tuple(_check(item, str, limits, label) for item in value)
    value = _convert(value, kind, label)
    if kind is float and abs(value) > FLOAT32_MAX:
        raise UserError(f"{label} must be at most {FLOAT32_MAX:.0e}, the largest number of 32 bits, not {value:g}")
    choices, low, above, high = (limits[key] for key in ("choices", "low", "above", "high"))
    if high is None and kind is int:
        high = numbers.LARGEST
    if choices and value not in choices:
        words = [str(choice) for choice in choices]
        hint = did_you_mean(value, words) if kind is str else ""
        raise UserError(f"{label} must be one of {', '.join(words)}, not {_abbreviate(value)}{hint}")
    if low is not None and value < low:
        raise UserError(f"{label} must be at least {low}, not {_abbreviate(value)}")
    if above is not None and value <= above:
        raise UserError(f"{label} must be greater than {above}, not {_abbreviate(value)}")
    if high is not None and value > high:
        raise UserError(f"{label} must be at most {high}, not {_abbreviate(value)}")
    if limits["pattern"] and not re.fullmatch(limits["pattern"], value):
        raise UserError(f"{label} must look like {limits.get('example', limits['pattern'])}, not {_abbreviate(value)}")
    if limits["check"]:
        try:
            limits["check"](value)
        except ValueError as error:
            raise UserError(f"{label}: {error}") from None
    return value


def _convert(value: Any, kind: type, label: str) -> Any:
    """Convert a value to bool, int, float or str. Raises `UserError` if that would change it.

    Numbers are also read from text, which is what command lines and config files give.
    """
    if kind is str and isinstance(value, str) and value:
        if any("\ud800" <= character <= "\udfff" for character in value):  # how Python reads bytes that are not UTF-8
            raise UserError(f"{label} is not UTF-8: rename {_abbreviate(value)}")
        if any(unicodedata.category(character) == "Cc" for character in value):
            raise UserError(f"{label} must not contain control characters: {_abbreviate(value)}")
        return value
    try:
        if kind is bool:
            if isinstance(value, bool):
                return value
        elif isinstance(value, str | int | float) and not isinstance(value, bool) and kind is not str:
            number = numbers.parse(value, kind) if isinstance(value, str) else kind(value)
            if (kind is int or math.isfinite(number)) and (isinstance(value, str) or number == value):
                return number
    except (ValueError, OverflowError):
        pass
    expected = {bool: "true or false", str: "non-empty text", int: "a whole number", float: "a finite number"}[kind]
    raise UserError(f"{label} must be {expected}, not {_abbreviate(value)}")


def _abbreviate(value: Any) -> str:
    """Show a value in a few words: a malicious file may contain deeply nested lists or a number of a million digits."""
    if isinstance(value, int) and value.bit_length() > 64:
        return "a number of more than 64 bits"
    return reprlib.repr(value) if isinstance(value, int | str | float | None) else f"a {type(value).__name__}"
