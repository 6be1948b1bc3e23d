"""The size of a run with --minutes: channels, epochs and updates of refinement, chosen by timing some steps.

They are stored with the run, so that a resumed run trains as long as an uninterrupted one, without another timing.
"""

import contextlib
import dataclasses
import itertools
import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

from glo.model import geometry
from glo.runtime.log import logger
from glo.settings import TrainSettings, methods
from glo.training import methods as training_methods
from glo.training.resume import Length
from glo.training.state import Training

LEARNED, REFINED = 20, 2  # steps that are timed, after the first one, which is compiled
SHARE = 0.95  # of the minutes that steps take; the rest is for pictures, figures and checkpoints
REFINEMENT = 1 / 3  # of the minutes that refinement takes, at most
LEAST_CHANNELS, MOST_CHANNELS = 1 / 2, 2  # relative to those of a run without --minutes
# Channels are in proportion to this power of the time. The time of a step grows by at most the square of the channels,
# so that a longer run has both a larger generator and more epochs.
EXPONENT = 1 / 3


class Timing(NamedTuple):
    """Seconds that an epoch takes, and those that finding the codes at the end takes."""

    epoch: float
    refinement: float


def decide(settings: TrainSettings, prepare: Callable[[TrainSettings], Training], length: Length) -> TrainSettings:
    """Return the settings with the numbers of channels, epochs and updates of refinement that suit `minutes`.

    prepare: builds the model of a new run with the settings that it is called with. length: of the run without
    --minutes. With several workers, all call this, and the first one decides.
    """
    logger.info("--minutes %g: timing some steps ...", settings.minutes)
    seconds = 60 * settings.minutes
    training = prepare(settings)
    crew, timing = training.crew, _time(training, length)
    if settings.channels is None and training.start is None and settings.method != "pca":
        ratio = seconds / (length.learned / training.steps_per_epoch * timing.epoch + timing.refinement)
        channels = channels_for(ratio, training.dataset.image_shape, settings)
        channels = crew.decide("channels", lambda: channels)
        logger.info("%d channels in the finest hidden map", channels)
        settings = dataclasses.replace(settings, channels=channels)
        training = prepare(settings)
        timing = _time(training, length)
    steps = crew.decide("refine_steps", lambda: affordable_updates(settings.refine_steps, seconds, timing.refinement))
    if steps < settings.refine_steps:
        logger.info("%d updates of each code in the last epoch", steps)
        timing = timing._replace(refinement=timing.refinement * steps / settings.refine_steps)
        settings = dataclasses.replace(settings, refine_steps=steps)
    epochs = affordable(seconds, *timing)
    epochs = min(epochs, methods.DEFAULTS[settings.method].get("epochs", epochs))
    epochs = crew.decide("epochs", lambda: epochs)
    logger.info(
        "%d epochs of %.1f s each, and %.0f s to find the codes at the end", epochs, timing.epoch, timing.refinement
    )
    return dataclasses.replace(settings, epochs=epochs)


def affordable(seconds: float, epoch: float, refinement: float) -> int:
    """The number of epochs, at least 1, that fit into some seconds, of which the refinement takes a part."""
    return max(1, int((SHARE * seconds - refinement) // epoch))


def affordable_updates(refine_steps: int, seconds: float, refinement: float) -> int:
    """The number of updates of each code in the last epoch: fewer than `refine_steps` if these take too long."""
    if refinement <= REFINEMENT * seconds:
        return refine_steps
    return min(refine_steps, max(1, int(refine_steps * REFINEMENT * seconds // refinement)))


def channels_for(ratio: float, image_shape: tuple[int, int, int], settings: TrainSettings) -> int:
    """Channels of the finest hidden map for `ratio` times the time of a run without --minutes."""
    usual = geometry.maps(image_shape, settings)[-2][2]
    factor = min(max(ratio**EXPONENT, LEAST_CHANNELS), MOST_CHANNELS)
    return geometry.MULTIPLE * max(1, round(factor * usual / geometry.MULTIPLE))


def _time(training: Training, length: Length) -> Timing:
    """Time some steps of a new run. It is trained by them, and must not be used afterwards."""
    learn, refine = training_methods.make_steps(training, length.learned)
    learned = _seconds(training, learn, 0, length.learned, LEARNED)
    refinement = 0.0
    if refined := length.planned - length.learned:
        refinement = refined * _seconds(training, refine, length.learned, length.learned, REFINED)
    return Timing(training.steps_per_epoch * learned, refinement)


def _seconds(training: Training, step: Callable, start: int, learned: int, count: int) -> float:
    """The median time of a step, in seconds, of `count` steps after the first, which compiles it."""
    times = []
    with contextlib.closing(training.batches(start, learned)) as batches:
        for rows, images in itertools.islice(batches, count + 1):
            begun = time.perf_counter()
            step(rows, images)["loss"].numpy()
            times.append(time.perf_counter() - begun)
    return statistics.median(times[1:])
