"""trainer.py under signals and kill -9, when pictures cannot be written, and when training diverges."""

import json
import signal
import subprocess
import sys
import time

import pytest

from glo.training import manifest
from tests.runs import FAST, SAME, assert_same, newest, train
from tests.support import ROOT, assert_ok, assert_one_line_error, call, handles_signals


def start(home, *args):
    """Start trainer.py as a process in the folder `home`; returns the `Popen` object."""
    line = [sys.executable, ROOT / "trainer.py", *args]
    return subprocess.Popen([str(word) for word in line], cwd=home, stderr=subprocess.PIPE, text=True)


def wait_for(process, condition):
    """Wait until condition() is true. The process must not end before."""
    deadline = time.monotonic() + 90
    while not condition():
        assert time.monotonic() < deadline
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.02)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_an_interrupted_run_saves_and_resumes_exactly(home, number, code):
    """What is saved does not depend on the signal, so that one run alone is resumed."""
    prefix = f"sig{code}"
    process = start(home, "--dataset", "TOY", "--prefix", prefix, "--log_every", 1, *SAME)
    wait_for(process, lambda: any(path.stat().st_size for path in home.glob(f"train_dir/{prefix}-*/metrics.jsonl")))
    process.send_signal(number)
    log = process.communicate(timeout=60)[1]
    assert process.returncode == code, log
    folder = newest(home, prefix)
    (saved,) = folder.glob("model-*.json")
    step = json.loads(saved.read_text())["step"]
    assert f"python trainer.py --checkpoint train_dir/{folder.name}" in log
    assert f"model-{step}" in log
    assert log.count("interrupted: saving; press Ctrl-C again to stop without saving") == 1
    assert "Traceback" not in log
    manifest.read(folder / f"model-{step}")
    if number != signal.SIGINT:
        return
    end = step + 6
    assert_ok(call("trainer.py", "--checkpoint", folder, "--max_steps", end))
    assert_ok(call("trainer.py", "--dataset", "TOY", "--prefix", f"{prefix}whole", *SAME, "--max_steps", end))
    assert_same(newest(home, f"{prefix}whole") / f"model-{end}", folder / f"model-{end}")


def test_kill_9_loses_only_the_steps_since_the_last_save(home):
    """A run that is killed twice, probably during a save, and then resumed equals an uninterrupted run.

    The first process has the images in memory, the second one reads them from the file. While they train, another
    process is refused.
    """
    prefix = "killed"
    args = ["--dataset", "TOY", "--prefix", prefix, *FAST, "--save_every", 2, "--log_every", 1]
    for delay in (0.3, 0.15):
        before = set(home.glob(f"train_dir/{prefix}-*/model-*.json"))
        process = start(home, *args)
        wait_for(process, lambda before=before: set(home.glob(f"train_dir/{prefix}-*/model-*.json")) - before)
        refused = call("trainer.py", "--checkpoint", newest(home, prefix), "--max_steps", 10**6)
        assert_one_line_error(refused, "another process is training in", newest(home, prefix))
        time.sleep(delay)
        process.kill()
        process.communicate()
        args = ["--checkpoint", newest(home, prefix), "--memory_limit", "0"]
    folder = newest(home, prefix)
    end = 5 + max(int(path.stem.split("-")[1]) for path in folder.glob("model-*.json"))
    assert_ok(call("trainer.py", "--checkpoint", folder, "--max_steps", end))
    assert not list(folder.glob(".tmp*"))
    train("--dataset", "TOY", "--prefix", "calm", "--max_steps", end)
    assert_same(newest(home, "calm") / f"model-{end}", folder / f"model-{end}")


@pytest.mark.parametrize("delay", [0, 0.1, 0.5, 2, 4])
def test_ctrl_c_while_modules_are_imported_ends_in_at_most_one_line(home, delay):
    """After 0.1 s Python's own modules are imported, later TensorFlow, later still the model is built."""
    process = start(home, "--dataset", "TOY", "--prefix", "early", *SAME, "--max_steps", 10**6)
    wait_for(process, lambda: handles_signals(process))
    time.sleep(delay)
    process.send_signal(signal.SIGINT)
    log = process.communicate(timeout=60)[1]
    assert process.returncode == 130, log
    assert [line for line in log.splitlines() if not line.startswith("[")] in ([], ["interrupted"])


def test_pictures_that_cannot_be_written_do_not_end_training(home):
    train("--dataset", "TOY", "--prefix", "blocked", "--max_steps", 8)
    folder = newest(home, "blocked")
    for epoch in (3, 4):
        (folder / f"reconstructions/epoch-{epoch:05d}.png").mkdir()
    log = assert_ok(train("--checkpoint", folder, "--max_steps", 20))
    assert log.count("cannot write") == 1  # at most once a minute
    assert "Training continues" in log
    assert "done: 20 steps" in log
    assert (folder / "model-20.json").is_file()


def test_a_loss_that_is_not_finite_stops_the_run(home):
    diverging = ["--learning_rate", 1e30, "--max_steps", 60]
    sgd = ["--schedule", "constant", "--generator_optimizer", "sgd"]
    result = train("--dataset", "TOY", "--prefix", "nan", *diverging, *sgd, expect_ok=False)
    assert_one_line_error(result, "not finite", "--learning_rate", "--alpha", "no checkpoint was saved")
    assert not list(newest(home, "nan").glob("model-*"))
    train("--dataset", "TOY", "--prefix", "good", "--max_steps", 20)
    good = newest(home, "good") / "model-20"
    result = train("--checkpoint", good, "--prefix", "bad", *diverging, expect_ok=False)
    assert_one_line_error(result, f"last good checkpoint is {good}")
    assert manifest.read(good).step == 20
