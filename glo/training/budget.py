"""The number of epochs of a run with --minutes, chosen by timing some steps at the start.

It is stored with the run, so that a resumed run trains as long as an uninterrupted one, without another timing.
"""

import contextlib
import dataclasses
import itertools
import statistics
import time
from collections.abc import Callable

from glo.runtime.log import logger
from glo.settings import TrainSettings, methods
from glo.training import methods as training_methods
from glo.training.resume import Length
from glo.training.state import Training

LEARNED, REFINED = 20, 2  # steps that are timed, after the first one, which is compiled
SHARE = 0.95  # of the minutes that steps take; the rest is for pictures, figures and checkpoints


def decide(settings: TrainSettings, training: Training, length: Length) -> TrainSettings:
    """Return the settings with the number of epochs that take `minutes`.

    training: of a new run; it is trained for some steps and must not be used afterwards. length: of the run as far as
    it is known. With several workers, all call this, and the first one decides.
    """
    learn, refine = training_methods.make_steps(training, length.learned)
    logger.info("--minutes %g: timing some steps ...", settings.minutes)
    learned = _seconds(training, learn, 0, length.learned, LEARNED)
    per_epoch, refinement = training.steps_per_epoch, 0.0
    if refined := length.planned - length.learned:
        refinement = refined * _seconds(training, refine, length.learned, length.learned, REFINED)
    chosen = affordable(60 * settings.minutes, per_epoch * learned, refinement)
    chosen = min(chosen, methods.DEFAULTS[settings.method].get("epochs", chosen))
    chosen = training.crew.decide("epochs", lambda: chosen)
    logger.info(
        "%d epochs of %d steps: a step takes %.0f ms, and finding the codes at the end %.0f s",
        chosen, per_epoch, 1000 * learned, refinement,
    )  # fmt: skip
    return dataclasses.replace(settings, epochs=chosen)


def affordable(seconds: float, epoch: float, refinement: float) -> int:
    """The number of epochs, at least 1, that fit into some seconds, of which the refinement takes a part."""
    return max(1, int((SHARE * seconds - refinement) // epoch))


def _seconds(training: Training, step: Callable, start: int, learned: int, count: int) -> float:
    """The median time of a step, in seconds, of `count` steps after the first, which compiles it."""
    times = []
    with contextlib.closing(training.batches(start, learned)) as batches:
        for rows, images in itertools.islice(batches, count + 1):
            begun = time.perf_counter()
            step(rows, images)["loss"].numpy()
            times.append(time.perf_counter() - begun)
    return statistics.median(times[1:])
