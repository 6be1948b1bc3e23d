"""How well a few fixed images are reconstructed while training goes on: quick, and honest about held-out images."""

import time

import numpy as np

from glo.data.dataset import Dataset
from glo.inference import fitting, psnr
from glo.inference.decoder import Decoder
from glo.inference.neighbors import nearest
from glo.model.codes import CodeTable
from glo.model.losses import build as build_loss
from glo.settings import TrainSettings
from glo.training.step import Model

TRAIN, HELD_OUT = 256, 64  # images
STEPS = 30  # of fitting: some dB short of what evaluation's own number of steps gives
SHARE = 0.01  # most of a run's time that fitting may take


class Progress:
    """PSNR of training images from their codes, and of held-out images from codes that are fitted anew each time."""

    def __init__(self, model: Model, dataset: Dataset, settings: TrainSettings, rows: np.ndarray):
        """rows: int64 [n], training images in a seeded order, of which the first are taken."""
        self.table: CodeTable = model.table
        self.decoder = Decoder(model.evaluated)
        self.rows = np.sort(rows[:TRAIN])
        self.images = dataset.train_images[self.rows]
        held_out = np.random.default_rng([settings.seed, 11]).permutation(dataset.test_rows)[:HELD_OUT]
        self.held_out = dataset.images[np.sort(held_out)]
        self.near = nearest(self.held_out, dataset.train_images)[1][:, 0] if len(held_out) else None
        self.descend = fitting.make_descent(model.evaluated, build_loss(settings.loss), settings.projection)
        self.began, self.spent = time.perf_counter(), 0.0

    def measure(self, last: bool) -> dict[str, float]:
        """`train_psnr`, and `heldout_psnr` in dB: always at the last step, before it only while time allows."""
        values = {"train_psnr": self._psnr(self.table.gather(self.rows).numpy(), self.images)}
        start = time.perf_counter()
        if self.near is not None and (last or self.spent <= SHARE * (start - self.began)):
            codes = self.table.gather(self.near).numpy()
            *_, best, _ = self.descend(fitting.begin(codes), self.held_out, 0, STEPS, STEPS)
            values["heldout_psnr"] = self._psnr(best, self.held_out)
            self.spent += time.perf_counter() - start
        return values

    def _psnr(self, codes: np.ndarray, images: np.ndarray) -> float:
        errors = (self.decoder.images(codes).astype(np.float64) - images) / 255
        return psnr.psnr(np.mean(np.square(errors)))
