"""Short training runs, and what their checkpoints hold."""

import numpy as np

from tests.support import assert_ok, call

# The settings that decide the numbers. `--precision auto`, the default of the recipes, times both precisions, and may
# decide otherwise from run to run.
SAME = ["--precision", "float32", "--channels", "4", "--batch_size", "8"]
FAST = [*SAME, "--log_every", 5, "--save_every", 20]


def train(*args, expect_ok=True):
    """Run trainer.py in this process with the settings FAST."""
    result = call("trainer.py", *FAST, *args)
    if expect_ok:
        assert_ok(result)
    return result


def newest(home, prefix):
    """The newest run folder in home/train_dir whose name starts with `prefix`."""
    return max((home / "train_dir").glob(f"{prefix}-*"), key=lambda path: path.stat().st_mtime)


def tensors(prefix):
    """All values of a checkpoint by name, read with TensorFlow's own reader."""
    import tensorflow as tf

    reader = tf.train.load_checkpoint(str(prefix))
    names = set(reader.get_variable_to_shape_map())
    return {name: reader.get_tensor(name) for name in names}


def assert_same(a, b):
    """Two checkpoints hold the same variables, bit for bit."""
    a, b = tensors(a), tensors(b)
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)
