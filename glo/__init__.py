"""Generative Latent Optimization (Bojanowski, Joulin, Lopez-Paz, Szlam, ICML 2018): trained runs, from Python.

    import glo

    run = glo.load("train_dir/default-MNIST_lr_0.005-20260101-120000")
    images, codes = run.sample(64, seed=0)
    codes = run.encode(images)

TensorFlow is loaded by `load`, not by the import.
"""

import dataclasses
from os import PathLike, fspath
from typing import TYPE_CHECKING

from glo.runtime import device

if TYPE_CHECKING:
    from glo.run import Run

__all__ = ["load"]


def load(path: str | PathLike[str], data_dir: str | PathLike[str] | None = None) -> "Run":
    """Load a trained run for use from Python.

    Parameters
    ----------
    path : a run folder, of which the newest checkpoint is taken, or a checkpoint RUN/model-STEP.
    data_dir : the folder of all datasets. By default the one that the run was trained with. The dataset itself is
        optional: `Run.encode` uses it if it is there.

    Returns
    -------
    Run
        With `sample`, `encode`, `decode`, `reconstruct`, `codes` and `settings`.

    Raises
    ------
    glo.runtime.errors.UserError
        If there is no checkpoint, or it is damaged. Its text says what to do.
    """
    from glo.training import manifest

    prefix, _ = manifest.locate(fspath(path))
    saved = manifest.read(prefix)
    # Before the import below, which imports TensorFlow with its start-up messages, and on some CPUs without oneDNN.
    device.load_tensorflow()
    from glo.run import Run

    run = Run(prefix, saved)
    if data_dir is not None:
        run.settings = dataclasses.replace(run.settings, data_dir=fspath(data_dir))
    return run
