"""Nasty values for every setting of the three commands, on the command line and in YAML files.

Each value is either accepted within the limits of its setting, or refused by a `UserError` of one short line.
GLO_FAULTS multiplies the number of random values.
"""

import dataclasses
import json
import math
import os
import random
import time
import unicodedata

import pytest

from glo.runtime import memory
from glo.runtime.errors import UserError
from glo.settings import BuildSettings, EvalSettings, TrainSettings, fields, loss_expression

CLASSES = (BuildSettings, TrainSettings, EvalSettings)
LONGEST = 300  # characters of an error
SCALE = int(os.environ.get("GLO_FAULTS", "1"))
SECONDS = 5  # no value takes longer to refuse; usually it takes microseconds
NASTY = [
    "", " ", "\n", "\t", "\r\n", "\0", "a\0b", "\x1b[2J", "a\nb", "\u202e", "\ud800", "caf\udce9", "\ufeff", "😀" * 500,
    "nan", "NaN", "inf", "-inf", "Infinity", "1e400", "-1e400", "1e-400", "1e999999999", "9" * 400, "9" * 4300,
    "9" * 4301, "9" * 5000, "-" + "9" * 5000, "0." + "9" * 5000, "0" * 5000, "0" * 5000 + "1", "1" + "0" * 308,
    "0x10", "0b1", "0o7", "010", "1_000", "1_0.0", "1__0", "_1", "+5", "-0", "--5", "5-", " 5", "5 ", "1,000", "1.5.5",
    "٣", "５", "²", "1٣", "½", "Ⅷ", "1e5", "1e-5", "1E+5", "1e", "e1", ".", ".5", "5.", "1/2", "true", "null", "~",
    "gpu:" + "9" * 5000, "gpu:٣", "gpu:-1", "gpu:", "9" * 5000 + "G", "٣G", "1e9G", "." * 5000,
    "9" * 400 + "." + "9" * 400,
    "3," + "9" * 5000, "9" * 5000 + ",3", "٣,٣", "64x" + "9" * 5000, "٣x٣", "9" * 5000 + "*mse", "1e400*mse",
    "nan*mse", "1_0*mse", "٣*mse", "lap_l1(levels=" + "9" * 400 + ")", "lap_l1(levels=1_0)", "lap_l1(levels=٣)",
    "huber(delta=1e400)", "huber(delta=nan)", "mse+" * 5000, "(" * 5000, "mse" + "(" * 200, "*" * 400,
    "a" * 300, "a" * 5000, "/" * 5000, "../" * 500, "-", "--", "$(ls)", "%s%n", "{0}", "\\", "'", '"', "x" * 100_000,
]  # fmt: skip
OBJECTS = [
    None, True, False, 0, -1, 10**18, 10**400, 10**5000, -(10**5000), 1.5, 1e308, math.nan, math.inf, -math.inf, b"x",
    [], [1], ["a"], [["a"]], {}, {"a": 1}, {1: 2}, {1, 2}, [10**5000], [math.nan], ["x" * 100_000], object(),
]  # fmt: skip


def settings_fields():
    return [
        pytest.param(cls, field, id=f"{cls.__name__}.{field.name}")
        for cls in CLASSES
        for field in dataclasses.fields(cls)
    ]


def mutated(field, seed):
    """Values made from valid ones by changing a few characters; equal seeds give equal values."""
    generator = random.Random(f"{field.name} {seed}")
    words = [str(field.default), str(field.metadata.get("example", "5")), *map(str, field.metadata["choices"] or ())]
    text = list(generator.choice(words))
    for _ in range(generator.randint(1, 3)):
        position = generator.randint(0, len(text))
        text[position : position + generator.randint(0, 2)] = generator.choice(
            ["", "٣", "_", "e", "9" * 400, "\n", ",", "x"]
        )
    return "".join(text)


def assert_accepted_or_refused(cls, name, layer):
    """Resolve a layer with one value: the result keeps the limits, or the error is one short line."""
    started = time.perf_counter()
    try:
        value = getattr(fields.resolve(cls, layer), name)
    except UserError as error:
        assert_short_line(error)
    else:
        assert_valid(value)
    assert time.perf_counter() - started < SECONDS


def assert_short_line(error):
    text = str(error)
    assert len(text) < LONGEST, text[:500]
    assert text.isprintable(), text
    assert "int_max_str_digits" not in text
    assert "integer string conversion" not in text
    assert text.encode()


def assert_valid(value):
    """What was accepted is finite, can be stored, and has no characters that a terminal obeys."""
    for item in value if isinstance(value, tuple) else (value,):
        json.dumps(item, allow_nan=False)
        if isinstance(item, str):
            assert not any(unicodedata.category(character) in ("Cc", "Cs") for character in item)


def ways_to_read():
    """A setting of each class for each way in which argparse reads the text after a flag."""
    cases = {}
    for case in settings_fields():
        cls, field = case.values
        cases.setdefault((cls, type(field.default), field.metadata["const"] is None), case)
    return list(cases.values())


@pytest.mark.parametrize(("cls", "field"), ways_to_read())
def test_nasty_texts_are_read_from_the_command_line(cls, field):
    for text in NASTY:
        try:
            layer = fields.parse(cls, [f"--{field.name}={text}"], "")
        except UserError as error:
            assert_short_line(error)
        else:
            assert layer.values[field.name] in (text, [text]) or text == "--"  # which argparse leaves out
            assert_accepted_or_refused(cls, field.name, layer)


@pytest.mark.parametrize(("cls", "field"), settings_fields())
def test_nasty_texts(cls, field):
    for text in [*NASTY, *(mutated(field, seed) for seed in range(10 * SCALE))]:
        value = [text] if isinstance(field.default, tuple) else text
        assert_accepted_or_refused(cls, field.name, fields.Layer(fields.FLAGS, {field.name: value}))


@pytest.mark.parametrize(("cls", "field"), settings_fields())
def test_nasty_objects_in_a_manifest(cls, field):
    for value in OBJECTS:
        assert_accepted_or_refused(cls, field.name, fields.Layer("model-1.json", {field.name: value}))


@pytest.fixture(scope="module")
def values_in_files(tmp_path_factory):
    """The values that can be read from files of one setting, which reading does not look at.

    Other files are refused in a short line.
    """
    folder, values = tmp_path_factory.mktemp("files"), []
    for position, text in enumerate(
        [*NASTY, ".nan", ".inf", "-.inf", "[.nan]", "{a: 1}", "1:30", "2020-13-45", "9" * 9999]
    ):
        path = folder / f"{position}.yaml"
        path.write_bytes(f"setting: {text}\n".encode("utf-8", "surrogateescape" if "\udce9" in text else "replace"))
        try:
            layer = fields.read_yaml(path)
        except UserError as error:
            assert_short_line(error_without(error, folder))
        else:
            if layer.values.keys() == {"setting"}:
                values.append(layer.values["setting"])
    assert len(values) > 50
    return values


@pytest.mark.parametrize(("cls", "field"), settings_fields())
def test_nasty_values_in_a_file(cls, field, values_in_files):
    for value in values_in_files:
        assert_accepted_or_refused(cls, field.name, fields.Layer("x.yaml", {field.name: value}))


def error_without(error, folder):
    """The error with the name of a temporary folder left out, which may be long."""
    return UserError(str(error).replace(str(folder), ""))


def test_nasty_flags():
    for text in NASTY:
        for argv in ([text], [f"--{text}"], [f"--{text}=1"], ["--seed", "1", text]):
            try:
                layer = fields.parse(TrainSettings, argv, "")
                fields.resolve(TrainSettings, layer)
            except UserError as error:
                assert_short_line(error)


def test_accepted_numbers_can_be_used_as_commands_use_them():
    """Sizes, devices and pairs that match their patterns convert to numbers."""
    from download import _size

    for text in NASTY:
        if layer := accepted(BuildSettings, size=text):
            assert max(_size(layer.size)) < 10**6
        if layer := accepted(TrainSettings, memory_limit=text):
            assert 0 <= memory.parse_size(layer.memory_limit) < 10**30
        if (layer := accepted(TrainSettings, device=text)) and layer.device.startswith("gpu:"):
            assert int(layer.device[4:]) < 10**6
        if layer := accepted(EvalSettings, pairs=[text]):
            assert all(int(number) < 10**18 for number in layer.pairs[0].split(","))
        if layer := accepted(TrainSettings, loss=text):
            assert all(math.isfinite(term.weight) for term in loss_expression.parse(layer.loss))


def accepted(cls, **values):
    """The settings with these flags, or None if they are refused."""
    try:
        return fields.resolve(cls, fields.Layer(fields.FLAGS, values))
    except UserError:
        return None


@pytest.mark.parametrize("text", [text for text in NASTY if "," in text or "9" in text or "٣" in text])
def test_nasty_labels(text):
    from glo.building.selection import parse_labels

    for names in ([], ["cats", "dogs"]):
        try:
            labels = parse_labels(text, names)
        except UserError as error:
            assert_short_line(error)
        else:
            assert all(0 <= label < 2**31 for label in labels)
