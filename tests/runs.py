"""Short training runs and evaluations, and the contents of their files."""

import json
from pathlib import Path

import numpy as np

from tests.support import assert_ok, call

SAME = ["--config", Path(__file__).with_name("small.yaml")]
FAST = [*SAME, "--log_every", 5, "--save_every", 20]
FAST_FIT = ["--fit_steps", 20, "--num_fit", 30]


def train(*args, expect_ok=True):
    """Run trainer.py in this process with the settings `FAST`, which args may override; returns the result."""
    result = call("trainer.py", *FAST, *args)
    if expect_ok:
        assert_ok(result)
    return result


def evaluate(*args):
    """Run evaler.py in this process with the settings `FAST_FIT`, which args may override; returns the result."""
    result = call("evaler.py", *FAST_FIT, *args)
    assert_ok(result)
    return result


def metrics(folder):
    """Return the content of metrics.json in an output folder of evaler.py."""
    return json.loads((folder / "metrics.json").read_text())


def records(run):
    """Return the lines of metrics.jsonl in a run folder."""
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def newest(home, prefix):
    """Return the newest run folder in home/train_dir whose name starts with `prefix`."""
    return max((home / "train_dir").glob(f"{prefix}-*"), key=lambda path: path.stat().st_mtime)


def tensors(prefix):
    """Read all variables of a checkpoint by name, with TensorFlow's reader."""
    import tensorflow as tf

    reader = tf.train.load_checkpoint(str(prefix))
    names = set(reader.get_variable_to_shape_map())
    return {name: reader.get_tensor(name) for name in names}


def assert_same(a, b):
    """Assert that two checkpoints contain the same variables, bit for bit."""
    a, b = tensors(a), tensors(b)
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)
