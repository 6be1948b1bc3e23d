"""The speed of the toolkit's training step."""

from collections.abc import Iterator

import numpy as np

from bench.timing import rate
from glo.model.glo_model import GloModel
from glo.model.losses import build as build_loss
from glo.settings import TrainSettings
from glo.training.step import make_step


def step_rates(images: np.ndarray, codes: np.ndarray, settings: TrainSettings, steps: int) -> Iterator[float]:
    """Images/s of `steps` training steps, again and again, on images uint8 [n, H, W, C] and codes float32 [n, d].

    The loss is read once, after the last step, since training reads it every few steps only.
    """
    model = GloModel(images.shape[1:], codes, settings)
    step = make_step(model, build_loss(settings.loss), settings, learned=10**6)
    random, batch_size = np.random.default_rng(1), min(settings.batch_size, len(images))

    def run() -> None:
        for _ in range(steps):
            rows = random.choice(len(images), batch_size, replace=False)
            losses = step(rows, images[rows])
        losses.numpy()

    while True:
        yield rate(run, steps * batch_size)
