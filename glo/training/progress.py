"""PSNR of a few fixed training images and held-out images, measured quickly during training."""

import math
import time

import numpy as np

from glo.data.randomness import Stream, random_generator
from glo.inference import fitting
from glo.inference.decoder import Decoder
from glo.inference.neighbors import nearest
from glo.inference.psnr import psnr
from glo.training.sample import Sample
from glo.training.state import Training

TRAIN, HELD_OUT = 256, 64  # images
STEPS = 30  # of fitting; evaluation takes more steps and reaches a PSNR some dB higher
SHARE = 0.01  # fitting takes at most this share of the time of a run


class Progress:
    """PSNR of training images from their learned codes, and of held-out images from codes fitted to them.

    Fitting starts from the code of the nearest training image of a sample: reading all images could take minutes.
    """

    def __init__(self, training: Training, decoder: Decoder, sample: Sample):
        settings, dataset = training.settings, training.dataset
        self._sample, self._decoder = sample, decoder
        self._rows = np.sort(sample.order[:TRAIN])
        self._images = sample.images(self._rows)
        random = random_generator(settings.seed, Stream.PROGRESS_HELD_OUT)
        held_out = np.sort(random.permutation(dataset.test_rows)[:HELD_OUT])
        self._held_out, self._held_out_conditions = dataset.images[held_out], dataset.conditions[held_out]
        if len(self._held_out):
            self._neighbors = nearest(self._held_out, sample.all_images)[1][:, 0]
        scale = 1.0 if settings.method == "glo" else math.sqrt(training.model.dimension)
        self._descend = fitting.make_descent(training.model, training.loss, settings.projection, scale=scale)
        self._started, self._fitting_seconds = time.perf_counter(), 0.0

    def measure(self, last: bool) -> dict[str, float]:
        """Return `train_psnr` and `heldout_psnr` in dB.

        `heldout_psnr` is left out if fitting has used up its share of the time, but not at the last measurement.
        """
        codes, conditions = self._sample.codes(self._rows), self._sample.conditions(self._rows)
        values = {"train_psnr": self._psnr(codes, conditions, self._images)}
        start = time.perf_counter()
        if len(self._held_out) and (last or self._fitting_seconds <= SHARE * (start - self._started)):
            codes, conditions = self._sample.all_codes[self._neighbors], self._held_out_conditions
            *_, best, _ = self._descend(fitting.begin(codes), self._held_out, conditions, 0, STEPS, STEPS)
            values["heldout_psnr"] = self._psnr(best, conditions, self._held_out)
            self._fitting_seconds += time.perf_counter() - start
        return values

    def _psnr(self, codes: np.ndarray, conditions: np.ndarray, images: np.ndarray) -> float:
        errors = (self._decoder.images(codes, conditions).astype(np.float64) - images) / 255
        return psnr(np.mean(np.square(errors)))
