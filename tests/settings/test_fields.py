"""Settings: merging of layers, types, limits, and the errors that name the wrong setting."""

import dataclasses
import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from glo import settings
from glo.runtime.errors import UserError
from glo.settings import fields
from glo.settings.fields import Layer, setting


@dataclass(frozen=True)
class Settings:
    alpha: float = setting(5.0, "a step of 100 %", low=0)
    rate: float = setting(0.1, "a rate", above=0, high=1)
    epochs: int | None = setting(None, "a length", low=1)
    loss: str = setting("mse", "a loss", choices=("mse", "lap_l1"))
    channels: int = setting(3, "a choice of numbers", choices=(1, 3))
    name: str | None = setting(None, "a name", pattern="[a-z]+", example="cats")
    pairs: tuple[str, ...] = setting((), "pairs", pattern=r"\d,\d", example="3,7")
    dump: bool = setting(False, "a switch")
    once: str | None = setting(None, "not stored", stored=False)
    hexadecimal: str = setting("ff", "a text that a function reads", check=lambda text: int(text, 16))
    strengths: str | None = setting(None, "numbers in a text")


def resolve(*argv, file=None):
    layers = [] if file is None else [file]
    return fields.resolve(Settings, *layers, fields.parse(Settings, list(argv), ""))


def assert_error(fragments, *argv, file=None):
    with pytest.raises(UserError) as caught:
        resolve(*argv, file=file)
    for fragment in fragments:
        assert fragment in str(caught.value)


def yaml_file(tmp_path, text):
    path = tmp_path / "config.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_defaults_then_file_then_flags(tmp_path):
    file = fields.read_yaml(yaml_file(tmp_path, "alpha: 1\nrate: 1e-3\nepochs: 7\ndump: true\n"))
    assert resolve() == Settings()
    assert resolve(file=file) == Settings(alpha=1.0, rate=0.001, epochs=7, dump=True)
    values = resolve("--alpha", "2", "--no-dump", "--pairs", "1,2", "3,4", file=file)
    assert values == Settings(alpha=2.0, rate=0.001, epochs=7, dump=False, pairs=("1,2", "3,4"))
    assert (type(values.alpha), type(values.epochs)) == (float, int)


@pytest.mark.parametrize("words", [["--strengths", "-2,-1,0"], ["--strengths=-2,-1,0"]])
def test_values_that_begin_with_a_minus(words):
    assert resolve(*words, "--dump") == Settings(strengths="-2,-1,0", dump=True)
    assert resolve("--dump", "--strengths", "-.5").strengths == "-.5"
    assert_error(["--alpha must be at least 0, not -0.001"], "--alpha", "-1e-3")
    assert_error(["--strengths", "expected one argument"], "--strengths", "--dump")
    assert_error(["unknown flag -2"], "--dump", "-2")


def test_a_flag_overrides_the_file_even_with_the_default_value(tmp_path):
    file = fields.read_yaml(yaml_file(tmp_path, "alpha: 1\nepochs: 3\n"))
    assert resolve("--alpha", "5", file=file).alpha == 5.0
    null = fields.read_yaml(yaml_file(tmp_path, "epochs:\n"))
    assert resolve(file=null).epochs is None


@pytest.mark.parametrize(
    ("argv", "fragments"),
    [
        (["--alhpa", "1"], ["unknown flag --alhpa", "did you mean --alpha?"]),
        (["--alph=1"], ["unknown flag --alph,", "did you mean --alpha?"]),
        (["--zzzzzzzz"], ["unknown flag --zzzzzzzz;"]),
        (["stray"], ["unexpected word 'stray'"]),
        (["--alpha"], ["--alpha", "expected one argument"]),
        (["--alpha", "-1"], ["--alpha must be at least 0, not -1"]),
        (["--alpha", "nan"], ["--alpha must be a finite number"]),
        (["--alpha", "1e999"], ["--alpha must be a finite number"]),
        (["--alpha="], ["--alpha must be a finite number"]),
        (["--rate", "0"], ["--rate must be greater than 0"]),
        (["--rate", "1.5"], ["--rate must be at most 1"]),
        (["--epochs", "1.5"], ["--epochs must be a whole number"]),
        (["--epochs", "0"], ["--epochs must be at least 1"]),
        (["--epochs", "9" * 5000], ["--epochs must be a whole number"]),
        (["--loss", "mes"], ["--loss must be one of mse, lap_l1, not 'mes', did you mean mse?"]),
        (["--channels", "2"], ["--channels must be one of 1, 3, not 2"]),
        (["--name", "Cats"], ["--name must look like cats"]),
        (["--name", ""], ["--name must be non-empty text"]),
        (["--once", "a\0b"], ["--once must not contain control characters: 'a\\x00b'"]),
        (["--once", "\udcff"], ["--once is not UTF-8: rename '\\udcff'"]),
        (["--pairs", "1,2", "x"], ["--pairs must look like 3,7, not 'x'"]),
        (["--dump=3"], ["--dump"]),
        (["--hexadecimal", "fg"], ["--hexadecimal: invalid literal for int() with base 16: 'fg'"]),
    ],
)
def test_wrong_flags(argv, fragments):
    assert_error(fragments, *argv)


@pytest.mark.parametrize(
    ("text", "fragments"),
    [
        ("aplha: 1", ["config.yaml: unknown setting 'aplha', did you mean alpha?"]),
        ("alpha: yes", ["config.yaml: alpha must be a finite number, not True"]),
        ("alpha: [1]", ["config.yaml: alpha must be a finite number"]),
        ("alpha:", ["config.yaml: alpha must be a finite number, not None"]),
        ("epochs: 2.5", ["config.yaml: epochs must be a whole number, not '2.5'"]),
        ("dump: 1", ["config.yaml: dump must be true or false, not '1'"]),
        ("loss: 3", ["config.yaml: loss must be one of mse, lap_l1, not '3'"]),
        ("pairs: 1,2", ["config.yaml: pairs must be a list"]),
        ("pairs: [3]", ["config.yaml: pairs must look like 3,7, not '3'"]),
        ("alpha: 1" + "0" * 400, ["config.yaml: alpha must be a finite number"]),
        ("epochs: 0x10", ["config.yaml: epochs must be a whole number, not '0x10'"]),
        ("epochs: 1_000", ["config.yaml: epochs must be a whole number, not '1_000'"]),
        ("epochs: 1:30", ["config.yaml: epochs must be a whole number, not '1:30'"]),  # YAML reads 90
        ("epochs: 010\nalpha: .nan", ["config.yaml: alpha must be a finite number, not '.nan'"]),
        ("once: now", ["config.yaml: once concerns a single call", "give the flag --once"]),
        ("alpha: 0x1" + "0" * 9000, ["config.yaml: alpha must be a finite number"]),
    ],
)
def test_wrong_values_in_a_file(tmp_path, text, fragments):
    assert_error(fragments, file=fields.read_yaml(yaml_file(tmp_path, text)))


@pytest.mark.parametrize(
    "text",
    [
        "- 1",
        "word",
        "a: [",
        "a: b: c",
        "\ta: 1",
        b"\xff\xfe\xff",
        b"a: \x00",
        "a: !!python/object/apply:os.system [ls]",
        "a: !!int ''",
        "a: !!float ''",
        "a: !!bool maybe",
        "a: !!timestamp soon",
        "? [a]\n: 1",
        "a: " + "[" * 3000,
        "[" * 50_000,
        "{a: " * 50_000,
        "a: *nobody",
        "a: &b 1",
        "a: 1\na: 2",
        "a: 1\n'a': 2",
        "a: 1\nb: 2\na: 3",
        "<<: {a: 1}\na: {b: 1, b: 2}",
        "a: 1\n---\nb: 2",
        "a: " + "1" * (1 << 20),
    ],
)
def test_files_that_do_not_contain_settings(tmp_path, text):
    path = yaml_file(tmp_path, text)
    with pytest.raises(UserError, match=r"config\.yaml"):
        fields.read_yaml(path)


def test_missing_and_empty_files(tmp_path):
    with pytest.raises(UserError, match="no config file"):
        fields.read_yaml(tmp_path / "none.yaml")
    with pytest.raises(UserError, match=r"cannot read config file .* Is a directory"):
        fields.read_yaml(tmp_path)
    assert fields.read_yaml(yaml_file(tmp_path, "# nothing yet\n")).values == {}


@pytest.mark.parametrize("last", ["a9", "<<"])  # as a list of lists, and as merged mappings
def test_a_file_with_exponentially_growing_aliases_gives_a_short_error(tmp_path, last):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]" if last == "a9" else "a0: &a0 {x: y}"]
    for i in range(1, 10):
        aliases = f"[{', '.join([f'*a{i - 1}'] * 10)}]"
        lines.append(f"a{i}: &a{i} {aliases if last == 'a9' else '{<<: ' + aliases + '}'}")
    with pytest.raises(UserError, match="line 1: anchors, aliases and tags are not allowed"):
        fields.read_yaml(yaml_file(tmp_path, "\n".join(lines) + "\n"))  # 10^10 strings if written out


def test_numbers_in_a_file_mean_the_same_as_in_flags(tmp_path):
    file = fields.read_yaml(yaml_file(tmp_path, "epochs: 010\nalpha: +.5\nrate: 1E-3\nname: null\n"))
    assert resolve(file=file) == Settings(epochs=10, alpha=0.5, rate=0.001)
    assert resolve("--epochs", "010", "--alpha", "+.5", "--rate", "1E-3") == resolve(file=file)


def test_whole_numbers_are_at_most_a_thousand_million():
    assert resolve("--epochs", "1000000000").epochs == 10**9
    assert_error(["--epochs must be at most 1000000000, not 1000000001"], "--epochs", "1000000001")
    assert_error(["--epochs must be at most 1000000000, not a number of more than 64 bits"], "--epochs", "9" * 400)


def test_special_files_and_long_names(tmp_path):
    os.mkfifo(tmp_path / "pipe.yaml")
    for path, reason in (
        (tmp_path / "pipe.yaml", "not a regular file"),
        (Path("/dev/zero"), "not a regular file"),
        (tmp_path / ("x" * 300), "File name too long"),
        (tmp_path / "y/" / ("z/" * 3000), "File name too long"),
        (tmp_path / "a\nb", "no config file"),
    ):
        with pytest.raises(UserError, match=reason) as caught:
            fields.read_yaml(path)
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 300


def test_stored_settings_are_read_as_they_were_written(tmp_path):
    written = Settings(alpha=1e-5, epochs=3, name="no", pairs=("1,2",), dump=True, once="now")
    path = yaml_file(tmp_path, fields.write_yaml(written))
    assert resolve(file=fields.read_yaml(path)) == dataclasses.replace(written, once=None)
    assert "once" not in fields.stored(written)


def test_help_lists_every_flag(capsys):
    with pytest.raises(SystemExit) as exit_info:
        fields.parse(Settings, ["--help"], "What it is.")
    assert exit_info.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    for field in dataclasses.fields(Settings):
        assert f"--{field.name}" in text
    for fragment in ("What it is.", "a step of 100 %", "(default 5.0)", "{mse,lap_l1}", "{1,3}"):
        assert fragment in text


@pytest.mark.parametrize("cls", [settings.BuildSettings, settings.TrainSettings, settings.EvalSettings])
def test_the_defaults_of_every_command_are_within_their_limits(cls):
    defaults = {field.name: field.default for field in dataclasses.fields(cls)}
    assert fields.resolve(cls, Layer(fields.FLAGS, defaults)) == cls()


@pytest.mark.parametrize("name", ["../x", "a/b", ".hidden", "-x", "a b", "x" * 81, "", "a\n"])
def test_names_cannot_point_outside_their_folder(name):
    with pytest.raises(UserError, match="--dataset"):
        fields.resolve(settings.TrainSettings, Layer(fields.FLAGS, {"dataset": name}))
