"""Pictures drawn during training: a grid of reconstructions per epoch, samples for TensorBoard, and an animation."""

import math
import time
from pathlib import Path

import numpy as np

from glo import pictures
from glo.data.projection import project
from glo.data.randomness import Stream, random_generator
from glo.inference.decoder import Decoder
from glo.runtime import files, paths
from glo.runtime.log import logger
from glo.samplers.gaussian import Gaussian
from glo.training import history
from glo.training.clock import Clock
from glo.training.progress import Progress
from glo.training.records import Records
from glo.training.resume import Length
from glo.training.sample import Sample
from glo.training.state import Training

GRID = 64  # images in a grid, the same in every epoch
LOG_SECONDS = 10  # minimum time between two log lines or TensorBoard pictures, since epochs can take milliseconds


class Grids:
    """Draws fixed training images and their reconstructions once an epoch, or less often in long runs.

    There are at most as many grids as an animation has frames. Only the first worker draws and measures.
    """

    def __init__(
        self,
        run: Path,
        training: Training,
        decoder: Decoder,
        length: Length,
        clock: Clock,
        records: Records | None,
    ):
        """records: None except in the first worker."""
        self._run, self._training, self._decoder = run, training, decoder
        self._length, self._clock, self._records = length, clock, records
        per_epoch = training.steps_per_epoch
        self._every = per_epoch * math.ceil(length.end / per_epoch / pictures.GIF_FRAMES)
        self._sample = Sample(training)
        if records is None:
            return
        files.remove_temporary(paths.grids(run))
        self._rows = np.sort(self._sample.order[:GRID])
        grid = pictures.grid(self._sample.images(self._rows), pictures.columns(len(self._rows)))
        self._originals = pictures.captioned("training images", grid)
        self._progress = Progress(training, decoder, self._sample)
        self._logged = -math.inf

    def due(self, step: int) -> bool:
        return step % self._every == 0 or step == self._length.end

    def observe(self, step: int, rows: np.ndarray) -> None:
        """Draw the grid and measure the PSNR of training and held-out images. Raises `files.WriteError`."""
        self._sample.update()
        if self._records is None:
            return
        epoch = math.ceil(step / self._training.steps_per_epoch)
        # A GAN is inverted at the end of its run.
        has_codes = self._training.settings.method != "gan" or step >= self._length.planned
        title = "reconstructions" if has_codes else "samples"
        grid = pictures.grid(self._reconstructions() if has_codes else self._samples(), pictures.columns(GRID))
        picture = pictures.beside(self._originals, pictures.captioned(f"{title}, epoch {epoch}", grid))
        pictures.save(paths.grid(self._run, epoch), picture)
        psnr = self._progress.measure(last=step == self._length.end) if has_codes else {}
        self._records.scalars(step, epoch=epoch, **psnr, **self._clock.at(step))
        if time.monotonic() - self._logged > LOG_SECONDS:
            self._records.picture(step, title, picture)
            self._records.picture(step, "samples", pictures.grid(self._samples(), pictures.columns(GRID)))
            quality = ", ".join(f"{name} {value:.2f} dB" for name, value in psnr.items()) or "samples drawn"
            logger.info("epoch %d, step %d: %s", epoch, step, quality)
            self._logged = time.monotonic()

    def finish(self) -> None:
        """Write training.gif and loss.png. Raises `files.WriteError`."""
        if self._records is None:
            return
        if frames := self._frames():
            pictures.save_gif(paths.animation(self._run), frames)
        pictures.save_loss(paths.loss_curve(self._run), history.read(self._run))

    def train_psnr(self) -> tuple[float, int]:
        """Return the PSNR [dB] of the sample of training images, and their number. All workers must call this."""
        self._sample.update()
        sample, loss = self._sample, self._training.loss
        reconstruction = self._decoder.measure(sample.all_codes, sample.all_images, loss, sample.all_conditions)
        return reconstruction.result()["psnr"], len(sample.all_codes)

    def _frames(self) -> list[np.ndarray]:
        """Read the grids that the animation shows, uint8 [h, w, 3]. Those that cannot be read are skipped."""
        frames, unreadable = [], []
        for path in pictures.evenly(paths.existing_grids(self._run)):
            try:
                frames.append(pictures.read(path))
            except pictures.UnreadableError:
                unreadable.append(path)
        if unreadable:
            logger.warning(
                "training.gif lacks %d grids that cannot be read, such as %s", len(unreadable), unreadable[0]
            )
        return frames

    def _reconstructions(self) -> np.ndarray:
        return self._decoder.images(self._sample.codes(self._rows), self._sample.conditions(self._rows))

    def _samples(self) -> np.ndarray:
        """Draw images uint8 [GRID, H, W, C] with the Gaussian sampler, which is the fastest to fit."""
        seed = self._training.settings.seed
        gaussian = Gaussian.fit(self._sample.all_codes, seed)
        random = random_generator(seed, Stream.PROGRESS_SAMPLES)
        codes = project(gaussian.draw(GRID, random), self._training.settings.projection)
        return self._decoder.images(codes, random.choice(self._sample.all_conditions, GRID))
