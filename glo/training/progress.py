"""How well a few fixed images are reconstructed while training goes on: quick, and honest about held-out images."""

import time

import numpy as np

from glo.data.lazy_array import Rows
from glo.data.randomness import Stream, random_generator
from glo.inference import fitting
from glo.inference.decoder import Decoder
from glo.inference.neighbors import nearest
from glo.inference.psnr import psnr
from glo.model.losses import build as build_loss
from glo.training.state import Training

TRAIN, HELD_OUT = 256, 64  # images
NEIGHBORS = 4096  # training images among which held-out ones look for the code that they start from
STEPS = 30  # of fitting: some dB short of what evaluation's own number of steps gives
SHARE = 0.01  # most of a run's time that fitting may take


class Progress:
    """PSNR of training images from their codes, and of held-out images from codes that are fitted anew each time."""

    def __init__(self, training: Training, decoder: Decoder, order: np.ndarray):
        """order: int64 [n], training images in a seeded order, of which the first are taken."""
        settings, dataset, originals = training.settings, training.dataset, training.originals
        self._training, self._decoder = training, decoder
        self._rows = np.sort(order[:TRAIN])
        self._images, self._train_conditions = originals[self._rows], training.conditions(self._rows)
        random = random_generator(settings.seed, Stream.PROGRESS_HELD_OUT)
        held_out = np.sort(random.permutation(dataset.test_rows)[:HELD_OUT])
        self._held_out, self._held_out_conditions = dataset.images[held_out], dataset.conditions[held_out]
        candidates = np.sort(order[:NEIGHBORS])  # reading all images of a large file would take minutes
        if len(self._held_out):
            self._near = candidates[nearest(self._held_out, Rows(originals, candidates))[1][:, 0]]
        self._descend = fitting.make_descent(training.model, build_loss(settings.loss), settings.projection)
        self._started, self._spent = time.perf_counter(), 0.0

    def measure(self, last: bool) -> dict[str, float]:
        """`train_psnr`, and `heldout_psnr` in dB: always at the last step, before it only while time allows."""
        values = {"train_psnr": self._psnr(self._training.codes(self._rows), self._train_conditions, self._images)}
        start = time.perf_counter()
        if len(self._held_out) and (last or self._spent <= SHARE * (start - self._started)):
            codes = self._training.codes(self._near)
            conditions = self._held_out_conditions
            *_, best, _ = self._descend(fitting.begin(codes), self._held_out, conditions, 0, STEPS, STEPS)
            values["heldout_psnr"] = self._psnr(best, conditions, self._held_out)
            self._spent += time.perf_counter() - start
        return values

    def _psnr(self, codes: np.ndarray, conditions: np.ndarray, images: np.ndarray) -> float:
        errors = (self._decoder.images(codes, conditions).astype(np.float64) - images) / 255
        return psnr(np.mean(np.square(errors)))
