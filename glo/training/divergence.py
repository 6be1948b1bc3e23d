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
    """The losses of the steps since metrics were last logged, by name; `loss` is that of the images."""

    def __init__(self) -> None:
        self._losses: list[dict[str, tf.Tensor]] = []
        self._checked = 0  # number of steps whose losses are known to be finite

    def add(self, losses: dict[str, tf.Tensor]) -> None:
        """Add the losses float32 [B] of one step, without waiting for the device."""
        self._losses.append(losses)

    def finite(self) -> bool:
        """Whether all losses are finite. The loss of a sample whose code is not finite is NaN, see `step.Step`."""
        new, self._checked = self._losses[self._checked :], len(self._losses)
        values = [value for losses in new for value in losses.values()]
        return not values or bool(np.isfinite(tf.concat(values, 0).numpy()).all())

    def pop_means(self, crew: Crew) -> tuple[dict[str, float], int]:
        """Return the means of the losses and the number of images of all workers, and empty the window.

        Steps of the end of a run, which do not train the generator, may lack some of the losses.
        """
        names = dict.fromkeys(name for losses in self._losses for name in losses)
        values = {
            name: tf.concat([losses[name] for losses in self._losses if name in losses], 0).numpy() for name in names
        }
        self._losses, self._checked = [], 0
        if crew.count == 1:
            return {name: float(array.mean()) for name, array in values.items()}, len(values["loss"])
        loss = values["loss"]
        total, images = crew.sum(np.array([loss.sum(), len(loss)], np.float32))
        return {"loss": float(total / images)}, int(images)


def finite(losses: LossWindow, model: GloModel) -> bool:
    """Whether training has not diverged.

    Weights are checked as well as losses, since the losses of a step are computed before its update.
    """
    networks = (model.generator, model.average, model.companion)
    weights = [weight for network in networks if network for weight in network.weights]
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
