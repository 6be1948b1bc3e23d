"""Loads TensorFlow quietly, for one device, with reproducible kernels."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from glo.runtime.errors import UserError

ONEDNN = "TF_ENABLE_ONEDNN_OPTS"


def load_tensorflow() -> None:
    """Import TensorFlow without its start-up messages, with oneDNN's kernels unless the user has switched them off.

    TensorFlow itself leaves oneDNN off on CPUs without AVX512, where it doubles the speed of a training step. Has no
    effect once TensorFlow is imported.
    """
    if "tensorflow" in sys.modules:
        return
    os.environ.setdefault(ONEDNN, "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ["KERAS_BACKEND"] = "tensorflow"
    with _quiet():
        import tensorflow as tf

        tf.config.list_physical_devices("GPU")
    tf.get_logger().setLevel("ERROR")


def select(device: str) -> None:
    """Load TensorFlow with only the given device visible: `auto`, `cpu` or `gpu:N`.

    GPU memory grows on demand. Kernels are made deterministic, so that equal seeds give equal runs and a resumed run
    equals an uninterrupted one. Raises `UserError` for a GPU that does not exist, and where TensorFlow already runs on
    other devices in this process.
    """
    load_tensorflow()
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if device.startswith("gpu:"):
        index = int(device[4:])
        if index >= len(gpus):
            raise UserError(f"--device {device}: TensorFlow finds {len(gpus)} GPUs; use --device cpu or auto")
        gpus = [gpus[index]]
    elif device == "cpu":
        gpus = []
    if tf.config.get_visible_devices("GPU") != gpus[:1]:
        try:
            tf.config.set_visible_devices(gpus[:1], "GPU")
        except RuntimeError:  # "Visible devices cannot be modified after being initialized"
            raise UserError(f"--device {device}: TensorFlow already runs on other devices in this process") from None
    for gpu in gpus[:1]:
        with suppress(RuntimeError):  # the GPU is in use already
            tf.config.experimental.set_memory_growth(gpu, True)
    tf.config.experimental.enable_op_determinism()


def numerics() -> dict[str, str | bool]:
    """What the bits of a run depend on besides its settings: the version of TensorFlow, and whether oneDNN is on."""
    import tensorflow as tf

    return {"tensorflow": tf.__version__, "oneDNN": os.environ.get(ONEDNN, "1") != "0"}


def jit(setting: str) -> bool:
    """Whether XLA compiles the training step, for --jit `auto`, `on` or `off`: it is fast on GPUs, and slow on CPUs."""
    import tensorflow as tf

    return setting == "on" or (setting == "auto" and bool(tf.config.get_visible_devices("GPU")))


@contextmanager
def _quiet() -> Iterator[None]:
    """Hold back what native code writes to stderr, and show it only if the block fails.

    TensorFlow's C++ prints a dozen lines before its log level applies: none concerns a user, and they bury what does.
    """
    if sys.stderr:
        sys.stderr.flush()
    try:
        terminal = os.dup(2)
    except OSError:  # there is no stderr
        yield
        return
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
