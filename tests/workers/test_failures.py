"""Workers that are killed, stopped or never start, signals, and workers that do not belong together."""

import os
import signal
import time

import pytest

from glo.runtime import paths
from glo.training import manifest
from tests.runs import assert_same, newest
from tests.workers.conftest import STEPS
from tests.workers.processes import (
    SETTINGS,
    free_addresses,
    members,
    started,
    tf_config,
    train,
    wait_for,
    wait_for_end,
    workers,
)

pytestmark = [pytest.mark.slow, pytest.mark.workers]


def error_of(log):
    """The only line of a log that starts with "error: ", its last one."""
    lines = [line for line in log.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, log
    assert "Traceback" not in log, log
    return lines[0]


def saved(home, prefix):
    """The steps of the checkpoints of a run that may not exist yet."""
    runs = list(home.glob(f"train_dir/{prefix}-*"))
    return paths.steps(runs[0]) if runs else []


def assert_continues(home, prefix, whole, *args):
    """Assert that the newest checkpoint is sound, and that the run ends as one that nothing disturbed."""
    run = newest(home, prefix)
    manifest.read(paths.model(run, paths.steps(run)[-1]))
    if paths.steps(run)[-1] < STEPS:
        train(home, "--checkpoint", run, "--workers", 2, "--max_steps", STEPS)
    assert not list(run.glob(".tmp-*"))
    assert_same_run(run, whole)


def assert_same_run(run, other):
    for prefix in ("model-{}", "model-{}.codes-00000-of-00002", "model-{}.codes-00001-of-00002"):
        assert_same(run / prefix.format(STEPS), other / prefix.format(STEPS))


@pytest.mark.parametrize("victim", [0, 1])
def test_the_others_end_if_a_worker_is_killed(home, whole, victim):
    prefix = f"killed{victim}"
    with started(home, *SETTINGS, "--prefix", prefix, "--workers", 2) as process:
        wait_for(lambda: saved(home, prefix), process)
        os.kill(workers(process)[victim], signal.SIGKILL)
        log = wait_for_end(process)
        assert process.returncode == 2, log
    assert f"worker {victim} " in error_of(log)
    assert "lost" in error_of(log)
    assert f"continue with: python trainer.py --checkpoint train_dir/{newest(home, prefix).name} --workers 2" in log
    assert_continues(home, prefix, whole)


@pytest.mark.parametrize(
    ("line", "number", "reason"),
    [("starting TensorFlow", signal.SIGKILL, "lost"), ("TensorFlow's servers listen", signal.SIGSTOP, "stopped")],
)
def test_all_end_if_a_worker_is_lost_before_training(home, line, number, reason):
    """While TensorFlow is imported, it hides messages; while workers connect, it blocks the threads of each."""
    with started(home, *SETTINGS, "--prefix", "early", "--workers", 2) as process:
        while line not in process.stderr.readline():
            assert process.poll() is None
        os.kill(wait_for(lambda: workers(process).get(1), process), number)
        log = wait_for_end(process)
        assert process.returncode == 2, log
    assert "worker 1 " in error_of(log)
    assert reason in error_of(log)


def test_a_worker_that_is_stopped_for_a_moment_goes_on(home, whole):
    with started(home, *SETTINGS, "--prefix", "paused", "--workers", 2, "--max_steps", STEPS) as process:
        wait_for(lambda: saved(home, "paused"), process)
        victim = workers(process)[1]
        os.kill(victim, signal.SIGSTOP)
        time.sleep(2)
        os.kill(victim, signal.SIGCONT)
        log = wait_for_end(process, 120)
        assert process.returncode == 0, log
    assert_same_run(newest(home, "paused"), whole)


@pytest.mark.parametrize("victim", [0, 1])
def test_all_end_if_a_worker_is_stopped_for_long(home, whole, victim):
    prefix = f"stopped{victim}"
    with started(home, *SETTINGS, "--prefix", prefix, "--workers", 2) as process:
        wait_for(lambda: saved(home, prefix), process)
        os.kill(workers(process)[victim], signal.SIGSTOP)
        log = wait_for_end(process)
        assert process.returncode == 2, log
    assert f"worker {victim} " in error_of(log)
    assert "stopped" in error_of(log)


def test_all_end_if_the_launcher_is_killed(home, whole):
    with started(home, *SETTINGS, "--prefix", "orphans", "--workers", 2) as process:
        wait_for(lambda: saved(home, "orphans"), process)
        process.kill()
        deadline = time.monotonic() + 30
        while members(process):
            assert time.monotonic() < deadline, members(process)
            time.sleep(0.1)


def test_ctrl_c_at_the_launcher_saves_once(home, whole):
    with started(home, *SETTINGS, "--prefix", "interrupted", "--workers", 2, "--save_every", 10**6) as process:
        wait_for(
            lambda: any(path.stat().st_size for path in home.glob("train_dir/interrupted-*/metrics.jsonl")), process
        )
        process.send_signal(signal.SIGINT)
        log = wait_for_end(process)
        assert process.returncode == 130, log
    assert log.count("interrupted: saving") == 2  # by each worker
    assert log.count("continue with: python trainer.py --checkpoint") >= 1
    (step,) = saved(home, "interrupted")
    assert f"model-{step}" in log
    if step < STEPS:  # it may be later on a fast machine
        assert_continues(home, "interrupted", whole)


@pytest.mark.parametrize("index", [0, 1])
def test_a_worker_that_never_starts_is_named(home, index):
    config = tf_config(free_addresses(2), index)
    with started(home, *SETTINGS, "--prefix", "alone", "--worker_timeout", 4, environment=config) as process:
        log = process.communicate(timeout=60)[1]
        assert process.returncode == 2, log
    assert f"worker {1 - index} (localhost:" in error_of(log)
    assert "--worker_timeout" in error_of(log)


def test_training_that_diverges_ends_in_all_workers(home):
    sgd = ["--schedule", "constant", "--generator_optimizer", "sgd", "--learning_rate", 1e30]
    with started(home, *SETTINGS, "--prefix", "diverging", "--workers", 2, *sgd) as process:
        log = wait_for_end(process, 120)
        assert process.returncode == 2, log
    assert "not finite" in error_of(log)
