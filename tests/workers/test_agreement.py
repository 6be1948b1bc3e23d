"""Workers of a cluster by TF_CONFIG that do not belong together refuse to start. They do not load TensorFlow before."""

import contextlib

import numpy as np
import pytest

from tests.support import samples, write_flat
from tests.workers.processes import SETTINGS, free_addresses, started, tf_config

pytestmark = pytest.mark.slow


def refusals(home, configs, *args, each=((), ())):
    """Start a worker with each environment; returns their errors. All must refuse to start."""
    with contextlib.ExitStack() as stack:
        crew = [
            stack.enter_context(started(home, *SETTINGS, *args, *own, environment=config))
            for config, own in zip(configs, each, strict=True)
        ]
        logs = [process.communicate(timeout=60)[1] for process in crew]
        assert [process.returncode for process in crew] == [2] * len(crew), logs
    lines = [[line for line in log.splitlines() if line.startswith("error: ")] for log in logs]
    assert [len(errors) for errors in lines] == [1] * len(crew), logs
    assert "starting TensorFlow" not in "".join(logs)
    return [errors[0] for errors in lines]


def pair():
    addresses = free_addresses(2)
    return [tf_config(addresses, index) for index in range(2)]


def test_different_settings(home):
    for error in refusals(home, pair(), "--prefix", "odd", each=((), ("--alpha", 3))):
        assert "worker 0 and worker 1 differ: alpha is 5.0 and 3.0" in error
    assert not list(home.glob("train_dir/odd-*"))


def test_different_datasets(home):
    images, codes = samples(42, (8, 8, 1), 6, seed=1)
    write_flat(home / "others/TOY", images, codes, split=(np.arange(42) >= 33).astype(np.uint8))
    for error in refusals(home, pair(), each=((), ("--data_dir", "others"))):
        assert "worker 0 and worker 1 differ: fingerprint of the images is" in error


def test_different_versions(home, tmp_path):
    (tmp_path / "keras-99.0.dist-info").mkdir()
    (tmp_path / "keras-99.0.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: keras\nVersion: 99.0\n")
    first, second = pair()
    for error in refusals(home, [first, second | {"PYTHONPATH": str(tmp_path)}]):
        assert "differ: keras is" in error
        assert "99.0" in error


def test_different_lists_of_workers(home):
    one, two, three = free_addresses(3)
    configs = [tf_config((one, two), 0), tf_config((one, three), 1)]
    for error in refusals(home, configs):
        assert f"worker 1 has another list of workers ({one}, {three}) than worker 0 ({one}, {two})" in error


def test_more_workers_than_images(home):
    for error in refusals(home, pair(), "--max_samples", 1):
        assert "2 workers and 1 training images" in error


def test_a_compiled_step_with_synced_statistics(home):
    for error in refusals(home, pair(), "--jit", "on", "--batch_norm", "synced"):
        assert "--jit on" in error
        assert "--batch_norm synced" in error


@pytest.mark.parametrize("which", [0, 1])
def test_an_error_of_one_worker_ends_the_other(home, which):
    """It may come before the other worker has started, which then waits for --worker_timeout."""
    each = [("--worker_timeout", 5), ("--worker_timeout", 5)]
    each[which] += ("--data_dir", "nowhere")
    errors = refusals(home, pair(), each=each)
    assert "no dataset TOY in nowhere/toy" in errors[which]
    assert f"worker {which} (localhost:" in errors[1 - which]


def test_conditional_models_train_with_one_worker(home):
    images, codes = samples(42, (8, 8, 1), 6, seed=1)
    label = np.arange(42, dtype=np.int32) % 2
    write_flat(home / "labelled/TOY", images, codes, split=(np.arange(42) >= 33).astype(np.uint8), label=label)
    for error in refusals(home, pair(), "--data_dir", "labelled", "--conditional"):
        assert "--conditional trains with one worker only" in error
