"""Loads TensorFlow quietly, for one device, with reproducible kernels."""

import os

from glo.errors import UserError


def select(device: str) -> None:
    """Import TensorFlow with only the asked device visible: `auto`, `cpu` or `gpu:N`.

    GPU memory grows on demand. Kernels are made deterministic, so that equal seeds give equal runs and a resumed run
    equals an uninterrupted one. Raises `UserError` for a GPU that is not there.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
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
