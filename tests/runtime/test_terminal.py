"""Standard output and error: nothing from the data controls the terminal, and streams may be closed, full or ASCII."""

import logging
import subprocess
import sys
import unicodedata

import pytest

from glo.runtime import errors, log, terminal
from glo.runtime.errors import UserError
from tests.support import ROOT, assert_one_line_error

HOSTILE = "a\x1b[31mred\x1b]0;title\x07\x9b2J\x85\u202eflipped\u2066\r\n\x00\u2028é日\udcff"
HARMLESS = "a?[31mred?]0;title??2J??flipped?????é日?"


def is_harmless(text):
    return not any(unicodedata.category(character).startswith("C") for character in text.replace("\n", ""))


def test_control_characters_are_replaced():
    assert terminal.printable(HOSTILE) == HARMLESS
    assert terminal.printable("a b, c: \N{EM DASH}") == "a b, c: \N{EM DASH}"


@pytest.mark.parametrize("character", [chr(code) for code in range(0x3000) if not chr(code).isprintable()])
def test_no_character_that_is_not_printed_passes(character):
    assert terminal.printable(f"x{character}y") in ("x?y", "x y")


def test_tables_keep_their_line_breaks(capsys):
    terminal.show(f"{HOSTILE.replace(chr(10), '')}\nsecond")
    out = capsys.readouterr().out
    assert out.endswith("\nsecond\n")
    assert is_harmless(out)


def test_errors_are_one_harmless_line(capsys):
    def fail():
        raise UserError(f"no image {HOSTILE} in it")

    assert errors.run(fail) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert is_harmless(err)
    assert err.startswith("error: no image a?[31mred")


def test_the_log_is_harmless_on_the_terminal_and_in_its_file(capsys, tmp_path):
    handlers, propagate = log.logger.handlers[:], log.logger.propagate
    try:
        log.setup()
        log.to_file(tmp_path / "log.txt")
        log.logger.warning("%s: %d images", HOSTILE, 3)
    finally:
        log.logger.handlers[:], log.logger.propagate = handlers, propagate
        logging.raiseExceptions = True
    for text in (capsys.readouterr().err, (tmp_path / "log.txt").read_text()):
        assert f"{HARMLESS}: 3 images" in text
        assert is_harmless(text)


PROGRAM = rf"""
import contextlib, os, sys
sys.path.insert(0, {str(ROOT)!r})
from glo.runtime import errors, log, terminal

def command():
    log.setup()
    log.logger.info("\u65e5\u672c")
    with open("data", "wb") as file:
        file.write(b"x")
        terminal.report("a line for stderr")
        with contextlib.suppress(OSError):
            os.write(2, b"from a library in C\n")
    if "show" in sys.argv:
        terminal.show("\u65e5\u672c")
    if "fail" in sys.argv:
        raise errors.UserError("\u65e5\u672c")

sys.exit(errors.run(command))
"""


def start(folder, redirections, *words, **environment):
    command = ["sh", "-c", f'"$0" -c "$1" {" ".join(words)} {redirections}', sys.executable, PROGRAM]
    result = subprocess.run(command, cwd=folder, capture_output=True, timeout=60, env=environment or None)
    assert b"Traceback" not in result.stderr
    assert b"Exception ignored" not in result.stderr
    return result


@pytest.mark.parametrize(
    ("redirections", "words", "code"),
    [
        (">&-", (), 0),
        (">&-", ("show",), 2),
        (">/dev/full", (), 0),
        (">/dev/full", ("show",), 2),
        ("2>&-", ("show",), 0),
        ("2>&-", ("fail",), 2),
        ("2>/dev/full", ("show",), 0),
        ("2>/dev/full", ("fail",), 2),
        ("<&- >&- 2>&-", (), 0),
        ("<&- >&- 2>&-", ("show",), 2),
    ],
)
def test_closed_and_full_streams(tmp_path, redirections, words, code):
    result = start(tmp_path, redirections, *words)
    assert result.returncode == code
    assert (tmp_path / "data").read_bytes() == b"x"  # and nothing that was meant for a stream
    if redirections.startswith(">") and words:
        assert result.stderr.splitlines()[-1].startswith(b"error: cannot write to standard output: ")
    if redirections.startswith("2>") and words == ("show",):
        assert result.stdout.decode() == "日本\n"


@pytest.mark.parametrize("command", ["download.py", "trainer.py", "evaler.py"])
@pytest.mark.parametrize("redirection", [">&-", ">/dev/full"])
def test_help_that_cannot_be_written(command, redirection):
    line = ["sh", "-c", f'"$0" "$1" --help {redirection}', sys.executable, ROOT / command]
    result = subprocess.run(line, capture_output=True, text=True, timeout=60)
    assert_one_line_error(result, "cannot write to standard output")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "environment",
    [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}],
)
def test_characters_that_the_terminal_lacks(tmp_path, environment):
    result = start(tmp_path, "", "show", "fail", **environment)
    assert result.returncode == 2
    assert result.stdout == b"\\u65e5\\u672c\n"
    assert result.stderr.endswith(b"error: \\u65e5\\u672c\n")
