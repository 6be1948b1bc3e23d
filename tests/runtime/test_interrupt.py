"""Signals: commands end in order, ignored signals stay ignored, and training notices them at once."""

import signal
import subprocess
import sys
import time

import pytest

from glo.runtime import interrupt
from tests.support import ROOT

BEGIN = "import signal, sys, time\nfrom glo.runtime import errors, interrupt\n"
SLEEPING = """
def command():
    try:
        print("ready", flush=True)
        time.sleep(60)
    finally:
        print("closed", flush=True)
sys.exit(errors.run(command))
"""


def start(program):
    """Start a Python program in a process; returns the `Popen` object, once the program has printed a line."""
    line = [sys.executable, "-c", BEGIN + program]
    process = subprocess.Popen(line, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize("number", interrupt.SIGNALS)
def test_a_command_ends_in_order(number):
    process = start(SLEEPING)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (128 + number, "closed\n", "interrupted\n")


@pytest.mark.parametrize("number", interrupt.SIGNALS)
def test_a_signal_that_was_ignored_at_the_start_stays_ignored(number):
    process = start(f"signal.signal({int(number)}, signal.SIG_IGN)" + SLEEPING.replace("60", "0.5"))
    process.send_signal(number)
    assert process.communicate(timeout=60) == ("closed\n", "")
    assert process.returncode == 0


def test_a_library_that_turns_the_exception_into_another_one_does_not_hide_the_signal():
    program = """
def command():
    try:
        print("ready", flush=True)
        time.sleep(60)
    except BaseException:
        raise RuntimeError("initialization failed") from None
sys.exit(errors.run(command))
"""
    process = start(program)
    process.send_signal(signal.SIGTERM)
    assert (process.communicate(timeout=60)[1], process.returncode) == ("interrupted\n", 143)


def test_a_signal_during_an_import_ends_the_process_without_a_traceback(tmp_path):
    (tmp_path / "slow.py").write_text("print('ready', flush=True)\nimport time\ntry: time.sleep(60)\nexcept: raise 1\n")
    process = start(f"sys.path.insert(0, {str(tmp_path)!r})\ndef command(): import slow\nsys.exit(errors.run(command))")
    process.send_signal(signal.SIGINT)
    assert (process.communicate(timeout=60)[1], process.returncode) == ("interrupted\n", 130)


@pytest.mark.parametrize("number", interrupt.SIGNALS)
def test_training_announces_a_signal_while_the_main_thread_is_busy(number):
    """The main thread computes for hours in one call, so that Python runs no handler there."""
    program = """
import hashlib, os, threading
def announce():
    os.write(1, b"saving\\n")
with interrupt.Interrupt(announce) as pending:
    print("ready", flush=True)
    hashlib.pbkdf2_hmac("sha512", b"", b"", 2**31 - 1)
"""
    process = start(program)
    process.send_signal(number)
    assert process.stdout.readline() == "saving\n"
    process.send_signal(number)  # the second one ends the process
    assert process.wait(timeout=60) == 128 + number


def test_a_delayed_signal_is_raised_at_the_end_of_the_block():
    done = []

    def write():
        with interrupt.delayed():
            signal.raise_signal(signal.SIGTERM)
            done.append("rest of the block")

    with pytest.raises(interrupt.Interrupted) as raised:
        write()
    assert raised.value.number == signal.SIGTERM
    assert done
    with pytest.raises(ValueError, match="disk"), interrupt.delayed():
        raise ValueError("disk")


def test_the_first_signal_is_recorded_and_handlers_are_restored():
    before = [signal.getsignal(number) for number in interrupt.SIGNALS]
    with interrupt.Interrupt(lambda: None) as pending:
        assert pending.received is None
        signal.raise_signal(signal.SIGHUP)
        deadline = time.monotonic() + 60
        while not pending.received:
            assert time.monotonic() < deadline
    assert pending.received == signal.SIGHUP
    assert [signal.getsignal(number) for number in interrupt.SIGNALS] == before


def test_ctrl_c_while_python_exits_prints_no_traceback():
    program = """
import atexit
def linger():
    print("ready", flush=True)
    time.sleep(60)
atexit.register(linger)  # before the command: called after what the command registers
sys.exit(errors.run(lambda: None))
"""
    process = start(program)
    process.send_signal(signal.SIGINT)
    assert (process.communicate(timeout=60)[1], process.returncode) == ("", -signal.SIGINT)
