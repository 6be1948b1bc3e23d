"""Load TensorFlow without its start-up messages, restrict it to one device, and make its kernels deterministic."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from glo.runtime.errors import UserError
from glo.runtime.log import logger

ONEDNN = "TF_ENABLE_ONEDNN_OPTS"
BFLOAT16 = {"avx512_bf16", "amx_bf16"}  # instructions of CPUs, by their names in /proc/cpuinfo


def load_tensorflow() -> None:
    """Import TensorFlow without its start-up messages, with oneDNN's kernels unless the user has switched them off.

    By default TensorFlow disables oneDNN on CPUs without AVX512, although it doubles the speed of a training step
    there. This function has no effect once TensorFlow is imported.
    """
    if "tensorflow" in sys.modules:
        return
    logger.info("starting TensorFlow ...")
    os.environ.setdefault(ONEDNN, "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ["KERAS_BACKEND"] = "tensorflow"
    with _quiet():
        import tensorflow as tf

        tf.config.list_physical_devices("GPU")
    tf.get_logger().setLevel("ERROR")


def select(device: str, worker: int = 0) -> None:
    """Load TensorFlow and make one device visible to it.

    device: `cpu`; `gpu:N` for the GPU with index N; or `auto` for the first GPU if there is one, else the CPU.
    worker: with `auto`, the number of earlier workers on this machine, each of which takes a GPU if there are any.
    GPU memory is allocated as needed. Kernels are made deterministic, so that equal seeds give equal runs and a resumed
    run equals an uninterrupted one.
    Raises `UserError` if the GPU does not exist, or if TensorFlow already runs on other devices in this process.
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
    elif worker and gpus:
        if worker >= len(gpus) > 1:
            raise UserError(f"there are {len(gpus)} GPUs for more than {worker} workers: use one worker for each GPU")
        gpus = [gpus[worker % len(gpus)]]  # a job system may show each worker only its own GPU
    if tf.config.get_visible_devices("GPU") != gpus[:1]:
        try:
            tf.config.set_visible_devices(gpus[:1], "GPU")
        except RuntimeError:  # "Visible devices cannot be modified after being initialized"
            raise UserError(f"--device {device}: TensorFlow already runs on other devices in this process") from None
    for gpu in gpus[:1]:
        with suppress(RuntimeError):  # memory growth cannot be changed once the GPU is in use
            tf.config.experimental.set_memory_growth(gpu, True)
    tf.config.experimental.enable_op_determinism()


def on_gpu() -> bool:
    """Whether the selected device is a GPU."""
    import tensorflow as tf

    return bool(tf.config.get_visible_devices("GPU"))


def numerics() -> dict[str, str | bool]:
    """The environment that affects the exact numbers of a run: TensorFlow's version and whether oneDNN is enabled."""
    import tensorflow as tf

    return {"tensorflow": tf.__version__, "oneDNN": _uses_onednn()}


def has_bfloat16() -> bool:
    """Whether the device computes in bfloat16: a GPU of compute capability 8.0, or a CPU with instructions for it.

    Other devices emulate bfloat16, slowly, and so does every CPU without oneDNN, whose kernels use the instructions.
    """
    import tensorflow as tf

    gpus = tf.config.get_visible_devices("GPU")
    if gpus:
        return tf.config.experimental.get_device_details(gpus[0]).get("compute_capability", (0, 0)) >= (8, 0)
    if not _uses_onednn():
        return False
    try:
        cpu = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:  # not Linux
        return False
    return not BFLOAT16.isdisjoint(cpu.split())


def _uses_onednn() -> bool:
    return os.environ.get(ONEDNN, "1") != "0"


def jit(setting: str) -> bool:
    """Whether XLA compiles the training step. setting: `on`, `off`, or `auto`, which compiles on a GPU only.

    XLA makes the step faster on GPUs and slower on CPUs.
    """
    return setting == "on" or (setting == "auto" and on_gpu())


@contextmanager
def without_fusion() -> Iterator[None]:
    """Context in which TensorFlow does not replace several operations of a compiled function by a single one.

    TensorFlow has this option for the whole process only, where it changes the last digits of every other function:
    what the process computes later would differ from the same in a new process.
    """
    import tensorflow as tf

    tf.config.optimizer.set_experimental_options({"remapping": False})
    try:
        yield
    finally:
        tf.config.optimizer.set_experimental_options({"remapping": None})  # TensorFlow's default


@contextmanager
def _quiet() -> Iterator[None]:
    """Capture what native code writes to stderr, and print it only if the block raises an exception.

    TensorFlow's C++ code prints a dozen lines before its log level applies. They do not concern the user, and they
    push the messages that do off the screen.
    """
    if sys.stderr:
        sys.stderr.flush()
    try:
        stderr = os.dup(2)
    except OSError:  # the process has no stderr
        yield
        return
    with tempfile.TemporaryFile() as captured:
        os.dup2(captured.fileno(), 2)
        try:
            yield
        except BaseException:
            captured.seek(0)
            os.write(stderr, captured.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
