"""Loads TensorFlow quietly, for one device, with reproducible kernels."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from glo.runtime.errors import UserError


def select(device: str) -> None:
    """Import TensorFlow with only the asked device visible: `auto`, `cpu` or `gpu:N`.

    GPU memory grows on demand. Kernels are made deterministic, so that equal seeds give equal runs and a resumed run
    equals an uninterrupted one. Raises `UserError` for a GPU that is not there.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ["KERAS_BACKEND"] = "tensorflow"
    with _quiet():
        import tensorflow as tf

        gpus = tf.config.list_physical_devices("GPU")
    tf.get_logger().setLevel("ERROR")
    if device.startswith("gpu:"):
        index = int(device[4:])
        if index >= len(gpus):
            raise UserError(f"--device {device}: TensorFlow finds {len(gpus)} GPUs; use --device cpu or auto")
        gpus = [gpus[index]]
    elif device == "cpu":
        gpus = []
    tf.config.set_visible_devices(gpus[:1], "GPU")
    for gpu in gpus[:1]:
        tf.config.experimental.set_memory_growth(gpu, True)
    tf.config.experimental.enable_op_determinism()


def jit(setting: str) -> bool:
    """Whether XLA compiles the training step, for --jit `auto`, `on` or `off`: it is fast on GPUs, and slow on CPUs."""
    import tensorflow as tf

    return setting == "on" or (setting == "auto" and bool(tf.config.get_visible_devices("GPU")))


@contextmanager
def _quiet() -> Iterator[None]:
    """Hold back what native code writes to stderr, and show it only if the block fails.

    TensorFlow's C++ prints a dozen lines before its log level applies: none concerns a user, and they bury what does.
    """
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(terminal, held.read())
            raise
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)
