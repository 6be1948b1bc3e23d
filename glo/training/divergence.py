"""Divergence: training stops at a loss, weight or code that is not finite, before the state is drawn or saved."""

import contextlib
from typing import NoReturn

import numpy as np
import tensorflow as tf

from glo.model.glo_model import GloModel
from glo.runtime.errors import UserError
from glo.runtime.files import WriteError
from glo.settings import TrainSettings
from glo.training.saves import Saves
from glo.workers.crew import Crew


class LossWindow:
    """The losses of the steps since metrics were last logged."""

    def __init__(self) -> None:
        self._losses: list[tf.Tensor] = []
        self._checked = 0  # number of steps whose losses are known to be finite

    def add(self, losses: tf.Tensor) -> None:
        """Add the losses float32 [B] of one step, without waiting for the device."""
        self._losses.append(losses)

    def finite(self) -> bool:
        """Whether all losses are finite. The loss of a sample whose code is not finite is NaN, see `step.Step`."""
        new, self._checked = self._losses[self._checked :], len(self._losses)
        return not new or bool(np.isfinite(tf.concat(new, 0).numpy()).all())

    def pop_mean(self, crew: Crew) -> tuple[float, int]:
        """Return the mean loss and the number of images of all workers, and empty the window."""
        values = tf.concat(self._losses, 0).numpy()
        self._losses, self._checked = [], 0
        if crew.count == 1:
            return float(values.mean()), len(values)
        total, images = crew.sum(np.array([values.sum(), len(values)], np.float32))
        return float(total / images), int(images)


def finite(losses: LossWindow, model: GloModel) -> bool:
    """Whether training has not diverged.

    Weights are checked as well as losses, since the losses of a step are computed before its update.
    """
    weights = [*model.generator.weights, *(model.average.weights if model.average else ())]
    return losses.finite() and all(np.isfinite(weight.numpy()).all() for weight in weights)


def stop(step: int, saves: Saves, settings: TrainSettings) -> NoReturn:
    """Raise the `UserError` of training that has diverged."""
    with contextlib.suppress(WriteError):
        saves.wait()
    checkpoint = f"the last good checkpoint is {saves.last}" if saves.last else "no checkpoint was saved before"
    raise UserError(
        f"the loss is not finite at step {step}: training stopped, {checkpoint}; try a lower --learning_rate (now "
        f"{settings.learning_rate:g}) or a lower --alpha (now {settings.alpha:g})"
    )
