"""Generative Latent Optimization (Bojanowski, Joulin, Lopez-Paz, Szlam, ICML 2018). `load` loads a trained run.

    import glo

    run = glo.load("train_dir/default-MNIST_lr_0.005-20260101-120000")
    images, codes = run.sample(64, seed=0)
    codes = run.encode(images)

TensorFlow is imported by `load`, not by `import glo`.
"""

from os import PathLike, fspath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from glo.run import Run

__all__ = ["load"]


def load(path: str | PathLike[str], data_dir: str | PathLike[str] | None = None) -> "Run":
    """Load a trained run for use from Python.

    Parameters
    ----------
    path : a run folder, whose newest checkpoint is loaded, or a checkpoint RUN/model-STEP.
    data_dir : the folder that contains the datasets. The default is that of the run's settings. The dataset is
        optional; `Run.encode` uses it if it exists.

    Returns
    -------
    Run
        An object with `sample`, `encode`, `decode`, `reconstruct`, `codes` and `settings`.

    Raises
    ------
    glo.runtime.errors.UserError
        If there is no checkpoint, or if it is damaged. The message says what to do.
    """
    import dataclasses

    from glo.runtime import device
    from glo.training import manifest

    prefix, _ = manifest.locate(fspath(path))
    saved = manifest.read(prefix)
    # Hides start-up messages and turns oneDNN on, and must therefore precede the import of `glo.run`.
    device.load_tensorflow()
    from glo.run import Run

    run = Run(prefix, saved)
    if data_dir is not None:
        run.settings = dataclasses.replace(run.settings, data_dir=fspath(data_dir))
    return run
