"""The training loop: steps, and observers that are called between them."""

import contextlib
from pathlib import Path

import numpy as np
from tqdm import tqdm

from glo.inference.decoder import Decoder
from glo.runtime.interrupt import Interrupt
from glo.runtime.log import logger
from glo.training import methods
from glo.training.clock import Clock
from glo.training.divergence import LossWindow, finite, stop
from glo.training.dumps import Dumps
from glo.training.figures import Figures
from glo.training.grids import Grids
from glo.training.records import Records
from glo.training.resume import Length
from glo.training.saves import Saves
from glo.training.state import Training
from glo.training.tolerance import Tolerance

ANNOUNCEMENT = "interrupted: saving; press Ctrl-C again to stop without saving"
CHECK_EVERY = 10  # steps between checks for divergence, which wait for the device and for all workers


def train(run: Path, training: Training, length: Length) -> int:
    """Train until step `length.end` and write everything to a run folder.

    With several workers, all call this, and take the same steps.

    Returns the exit code: 0, or 128 plus the number of the signal that interrupted training.
    Raises `UserError` if training diverges; the last good checkpoint is kept.
    """
    model, settings, crew = training.model, training.settings, training.crew
    step = first = int(model.step)
    learn, refine = methods.make_steps(training, length.learned)  # with GLO, those of training/step.py
    losses, decoder, clock = LossWindow(), Decoder(model), Clock(run, training)
    saves = Saves(run, training, length)
    dumps = Dumps(run, training, decoder, saves)
    tolerate = Tolerance(saves)
    records = Records(run, first) if crew.first else None
    logger.info("compiling the first step ...")
    with (
        contextlib.ExitStack() as last,
        Interrupt(lambda: logger.warning(ANNOUNCEMENT)) as interrupt,
        contextlib.closing(training.batches(first, length.learned)) as batches,
        tqdm(total=length.end, initial=first, unit="step", disable=None if crew.first else True) as bar,
    ):
        if records:
            last.callback(tolerate, records.close)
        last.callback(tolerate, saves.wait)
        grids = Grids(run, training, decoder, length, clock, records)
        observers = (Figures(training, length, clock, records, losses, bar), grids, dumps, saves)
        rows, received = np.empty(0, np.int64), None

        def check() -> None:
            """Stop if training has diverged in any worker, and learn of signals that any worker has received."""
            nonlocal received
            reports = crew.exchange("check", [finite(losses, model), interrupt.received])
            if not all(is_finite for is_finite, _ in reports):
                stop(step, saves, settings)
            received = next((number for _, number in reports if number), None)

        while step < length.end and not received:
            rows, images = next(batches)
            losses.add((learn if step < length.learned else refine)(rows, images))
            step += 1
            due = [observer for observer in observers if observer.due(step)]
            if due or step % CHECK_EVERY == 0:
                check()  # before observers use the state
            for observer in due:
                tolerate(observer.observe, step, rows)
            bar.update()
            if crew.count == 1:
                received = interrupt.received
        if step > first:
            check()
            tolerate(dumps.finish, step, rows)
            tolerate(saves.finish, step)
        if not received:
            tolerate(grids.finish)
    if received:
        logger.warning("interrupted at step %d; the last checkpoint is %s", step, saves.last or "not saved yet")
        logger.warning("continue with: python trainer.py --checkpoint %s", run)
        return 128 + received
    quality = grids.train_psnr()
    if crew.first:
        logger.info(
            "done: %d steps, train PSNR %.2f dB (%d images); next: python evaler.py --dataset %s --checkpoint %s",
            step, *quality, settings.dataset, run,
        )  # fmt: skip
    return 0
