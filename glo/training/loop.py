"""The training loop: steps, and around them everything that concerns time, logging and saving."""

import contextlib
import io
import itertools
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import imageio.v3 as imageio
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from glo import pictures
from glo.building.initial_codes import project
from glo.data.augmentation import Augmented
from glo.data.batches import batches, steps_per_epoch
from glo.data.dataset import GRID as GRID_STREAM
from glo.data.dataset import Dataset, permutation
from glo.data.lazy_array import Rows
from glo.inference.decoder import Decoder
from glo.model.codes import unset
from glo.model.losses import build as build_loss
from glo.runtime import files, paths
from glo.runtime.errors import UserError
from glo.runtime.files import WriteError
from glo.runtime.interrupt import Interrupt
from glo.runtime.log import logger
from glo.samplers.gaussian import Gaussian
from glo.settings import TrainSettings
from glo.training import checkpoint, history, manifest, records
from glo.training.checkpoint import Saver
from glo.training.progress import Progress
from glo.training.resume import Length
from glo.training.step import Model, make_refinement, make_step

GRID = 64  # images of the reconstruction grid, the same ones each epoch
SAMPLED = 4096  # training images that speak for all in samples and in the final figure, however many there are
WARN_SECONDS = 60  # least time between two warnings of a disk that refuses writes
CHECK_EVERY = 10  # steps between looks at the loss, each of which waits for the device
TELL_SECONDS = 10  # least time between two log lines, and pictures for TensorBoard: epochs can take milliseconds


def train(run: Path, settings: TrainSettings, dataset: Dataset, length: Length, start: Path | None) -> int:
    """Train in a run folder until step `length.end`, from a checkpoint's prefix or from scratch.

    Returns the exit code: 0, or 128 plus the signal that ended it.
    Raises `UserError` if the loss becomes NaN or infinite, with the last good checkpoint kept.
    """
    return _Run(run, settings, dataset, start).train(length)


class _Run:
    def __init__(self, run: Path, settings: TrainSettings, dataset: Dataset, start: Path | None):
        self.run, self.settings = run, settings
        self.images = self.originals = dataset.train_images
        codes = dataset.train_codes
        if settings.copies(len(self.originals)):
            self.images = Augmented(self.originals, settings)
            # A checkpoint holds its own; made anew, those of a hundred thousand copies would take seconds.
            codes = unset(len(self.images), dataset.dimension) if start else self.images.codes(codes)
        self.model = Model(dataset.image_shape, codes, settings)
        if start:
            checkpoint.restore(self.model, start)
        seeded = permutation(len(self.originals), settings.seed, GRID_STREAM)
        self.grid_rows, self.sampled_rows = np.sort(seeded[:GRID]), np.sort(seeded[:SAMPLED])
        grid = pictures.grid(self.originals[self.grid_rows], pictures.columns(len(self.grid_rows)))
        self.shown = pictures.captioned("training images", grid)
        self.decoder = Decoder(self.model.evaluated)
        self.progress = Progress(self.model, dataset, settings, seeded)
        self.saver = Saver(run, settings, manifest.describe(dataset))
        self.start = start
        self.told = self.warned = -math.inf
        self.records = records.Records(run, int(self.model.step))
        before = history.clocked(history.read(run), settings.batch_size)
        self.seconds_before = before[-1]["seconds"] if before else 0.0
        self.began = time.perf_counter()

    def train(self, length: Length) -> int:
        settings, end = self.settings, length.end
        learn = make_step(self.model, settings, length.learned)
        refine = make_refinement(self.model, settings)
        first, per_epoch = int(self.model.step), steps_per_epoch(len(self.images), settings.batch_size)
        # Each epoch, but no more often than an animation shows: epochs can take milliseconds.
        picture_every = per_epoch * math.ceil(end / per_epoch / pictures.GIF_FRAMES)
        step = first
        losses, seen, since = [], 0, time.perf_counter()
        with (
            Interrupt() as interrupt,
            contextlib.closing(self._batches(step, length.learned)) as drawn,
            tqdm(total=end, initial=step, unit="step", disable=None) as bar,
        ):
            while step < end and not interrupt.received:
                rows, images = next(drawn)
                losses.append((learn if step < length.learned else refine)(rows, images))
                step, seen = step + 1, seen + len(rows)
                log = step % settings.log_every == 0 or step == end
                if step % CHECK_EVERY == 0 or log:
                    self._check(losses[-CHECK_EVERY:], step)
                if log:
                    now = time.perf_counter()
                    mean, rate = float(tf.concat(losses, 0).numpy().mean()), seen / (now - since)
                    values = {
                        "epoch": step / per_epoch,
                        "loss": mean,
                        "learning_rate": float(self.model.optimizer.learning_rate),
                        "images_per_second": rate,
                    }
                    self._tolerate(self.records.scalars, step, **values, **self._clock(step))
                    bar.set_postfix(loss=f"{mean:.4f}", images_per_second=f"{rate:.0f}", refresh=False)
                    losses, seen, since = [], 0, now
                if step % picture_every == 0 or step == end:
                    self._tolerate(self._picture, step, -(-step // per_epoch), step == end)
                if step % settings.save_every == 0 and step < end:
                    self._tolerate(self._save, rows)
                bar.update()
            if step > first:
                self._save_last(rows)
        if interrupt.received:
            logger.warning("interrupted at step %d, saved %s", step, self.saved or "nothing yet")
            logger.warning("go on with: python trainer.py --checkpoint %s", self.run)
        else:
            self._tolerate(self._final_pictures)
            self._summarize(step)
        self.records.close()
        return 128 + interrupt.received if interrupt.received else 0

    def _batches(self, step: int, learned: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Endless batches from a step on: of all images, and from step `learned` on of those that are not copies."""
        batch_size, seed = self.settings.batch_size, self.settings.seed
        if step < learned:
            with contextlib.closing(batches(self.images, batch_size, seed, start=step)) as drawn:
                yield from itertools.islice(drawn, learned - step)
            step = learned
        with contextlib.closing(batches(self.originals, batch_size, seed, start=step - learned)) as drawn:
            yield from drawn

    def _check(self, losses: list[tf.Tensor], step: int) -> None:
        if not np.isfinite(tf.concat(losses, 0).numpy()).all():
            with contextlib.suppress(WriteError):
                self.saver.wait()
            self.records.close()
            kept = f"the last good checkpoint is {self.saved}" if self.saved else "no checkpoint was saved before"
            raise UserError(
                f"the loss is not finite at step {step}: training stopped, {kept}; try a lower --learning_rate (now "
                f"{self.settings.learning_rate:g}) or a lower --alpha (now {self.settings.alpha:g})"
            )

    def _save(self, rows: np.ndarray) -> None:
        """Save, unless the last update broke the model: the loss that would show it comes with the next step."""
        weights = [*self.model.generator.weights, tf.gather(self.model.table.codes, rows)]
        self._check([tf.reshape(tf.convert_to_tensor(w), [-1]) for w in weights], int(self.model.step))
        self.saver.save(self.model)
        if self.settings.dump_result:
            self._dump(rows)

    def _save_last(self, rows: np.ndarray) -> None:
        """Save and wait for it. Whatever failed to be written before is made good by this one, if it succeeds."""
        self._tolerate(self._save, rows)
        self.saver.wait()

    @property
    def saved(self) -> Path | None:
        """The last good checkpoint: of this run, or the one that it started from."""
        return self.saver.saved or self.start

    def _tolerate(self, write: Callable[..., None], *args: Any, **values: Any) -> None:
        """Let training go on when the disk refuses a write, and say so once a minute."""
        try:
            write(*args, **values)
        except WriteError as error:
            if time.monotonic() - self.warned > WARN_SECONDS:
                logger.warning("%s. Training goes on; the last good checkpoint is %s", error, self.saved)
                self.warned = time.monotonic()

    def _dump(self, rows: np.ndarray) -> None:
        """dump_result_<step>.hdf5: image and reconstruction uint8 [B, H, W, C], code float32 [B, d], row int64 [B]."""
        codes = self._codes(rows)
        arrays = {"image": self.images[rows], "reconstruction": self.decoder.images(codes), "code": codes, "row": rows}
        image = io.BytesIO()  # HDF5 does not report a full disk when it closes a file of its own
        with h5py.File(image, "w") as file:
            for name, values in arrays.items():
                file[name] = values
        with files.replacing(paths.dump(self.run, int(self.model.step))) as temporary:
            temporary.write_bytes(image.getbuffer())

    def _picture(self, step: int, epoch: int, last: bool) -> None:
        """A grid of the same images as ever beside their reconstructions, and how far training is."""
        shown = self.decoder.images(self._codes(self.grid_rows))
        caption = f"reconstructions, epoch {epoch}"
        pictured = pictures.beside(
            self.shown, pictures.captioned(caption, pictures.grid(shown, pictures.columns(len(shown))))
        )
        pictures.save(paths.grid(self.run, epoch), pictured)
        psnr = self.progress.measure(last)
        self.records.scalars(step, epoch=epoch, **psnr, **self._clock(step))
        if time.monotonic() - self.told > TELL_SECONDS:
            known = self._codes(self.sampled_rows)
            seed = self.settings.seed
            # The cheapest sampler, whatever --sampler says of evaluations: these show progress.
            drawn = Gaussian.fit(known, seed).draw(GRID, np.random.default_rng([seed, 3]))
            drawn = project(drawn, self.settings.projection)
            self.records.picture(step, "reconstructions", pictured)
            self.records.picture(step, "samples", pictures.grid(self.decoder.images(drawn), pictures.columns(GRID)))
            logger.info("epoch %d, step %d: %s dB", epoch, step, ", ".join(f"{k} {v:.2f}" for k, v in psnr.items()))
            self.told = time.monotonic()

    def _final_pictures(self) -> None:
        frames = pictures.evenly(sorted(paths.grids(self.run).glob("*.png")))
        if frames:
            pictures.save_gif(paths.animation(self.run), [imageio.imread(path) for path in frames])
        pictures.save_loss(paths.loss_curve(self.run), history.read(self.run))

    def _summarize(self, step: int) -> None:
        rows = self.sampled_rows
        measured = self.decoder.measure(self._codes(rows), Rows(self.originals, rows), build_loss(self.settings.loss))
        logger.info(
            "done: %d steps, train PSNR %.2f dB (%d images); next: python evaler.py --dataset %s --checkpoint %s",
            step, measured.result()["psnr"], len(rows), self.settings.dataset, self.run,
        )  # fmt: skip

    def _clock(self, step: int) -> dict[str, float]:
        """Seconds of training, those before a resumption included, and images seen."""
        seconds = self.seconds_before + time.perf_counter() - self.began
        per_epoch = steps_per_epoch(len(self.images), self.settings.batch_size)
        epochs, steps = divmod(step, per_epoch)
        return {"seconds": seconds, "images": epochs * len(self.images) + steps * self.settings.batch_size}

    def _codes(self, rows: np.ndarray) -> np.ndarray:
        return self.model.table.gather(rows).numpy()
