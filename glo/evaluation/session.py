"""The evaluation tasks: each takes a trained model and writes pictures and numbers to the output folder."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from glo import pictures
from glo.building.initial_codes import project
from glo.data.dataset import Dataset
from glo.data.labels import ImageClass
from glo.data.lazy_array import Rows
from glo.evaluation import generate, measure, restore
from glo.inference import fitting
from glo.inference.decoder import Decoder
from glo.inference.interpolation import PATHS
from glo.inference.prior import GaussianPrior
from glo.model.codes import unset
from glo.model.losses import Loss
from glo.model.losses import build as build_loss
from glo.runtime import paths
from glo.runtime.log import logger
from glo.samplers.cache import Fitted, fitted
from glo.samplers.gaussian import Gaussian
from glo.samplers.gmm import components_for
from glo.settings import EvalSettings, TrainSettings
from glo.training import checkpoint
from glo.training.step import Model

SHOWN = 32  # images of a panel in the picture of reconstructions
PAIRS, PATH_STEPS = 8, 10


@dataclass
class Evaluation:
    """A model restored from a checkpoint, its dataset, and what was asked for.

    pictures: of --images, uint8 [n, H, W, C], and their names. hole: of --inpaint, bool [H, W, 1].
    image_class: of --label.
    """

    prefix: Path
    model: Model
    decoder: Decoder
    dataset: Dataset
    trained: TrainSettings
    asked: EvalSettings
    folder: Path
    pictures: tuple[np.ndarray, list[str]] | None = None
    hole: np.ndarray | None = None
    image_class: ImageClass | None = None

    @property
    def images(self) -> Rows:
        """Training images, uint8 [n, H, W, C], in the order of the code table."""
        return self.dataset.train_images

    @cached_property
    def codes(self) -> np.ndarray:
        """Learned codes of the training images, float32 [n, d]; those of altered copies come after them."""
        return self.model.table.codes[: len(self.images)].numpy()

    @property
    def sampler_name(self) -> str:
        """The sampler that was asked for, or the run's own."""
        return self.trained.sampler if self.asked.sampler == "auto" else self.asked.sampler

    @cached_property
    def sampler(self) -> Fitted:
        """Fitted to the learned codes: those of the class that was asked for, if one was."""
        return self.fitted(self.image_class)

    def fitted(self, image_class: ImageClass | None) -> Fitted:
        """The sampler fitted to the learned codes of a class, or to all."""
        asked, trained, name, codes = self.asked, self.trained, self.sampler_name, self.codes
        if image_class:
            codes = codes[image_class.among(self.dataset.train_rows)]
        components = asked.components
        if trained.components and not components:
            components = components_for(len(codes), len(self.codes), trained.components)
        options = {"components": components} if components and name == "gmm" else {}
        step = int(self.model.step)
        file = paths.sampler(self.prefix.parent, name, step, image_class.key if image_class else None)
        return fitted(file, name, codes, asked.seed, trained.projection, options)

    @property
    def temperature(self) -> float:
        """As asked, or the run's own, which suits the run's own sampler alone."""
        own = self.trained.temperature if self.sampler_name == self.trained.sampler else 1.0
        return self.asked.temperature or own

    def drawn(self, n: int) -> np.ndarray:
        """New codes from the sampler that was asked for, float32 [n, d]."""
        return self.draw(self.sampler, n)

    def draw(self, sampler: Fitted, n: int) -> np.ndarray:
        """New codes from a sampler, float32 [n, d]."""
        return sampler.draw(n, self.asked.seed, self.trained.projection, self.temperature)

    @cached_property
    def held_out(self) -> np.ndarray:
        """Rows of held-out images, at most --num_fit of them, int64, ascending."""
        return np.sort(self.random(1).permutation(self.dataset.test_rows)[: self.asked.num_fit])

    def fit(self, images: np.ndarray, loss: Loss, hole: np.ndarray | None = None) -> np.ndarray:
        """Fit codes, float32 [n, d], to images uint8 [n, H, W, C] but for the hole, bool [H, W, 1]."""
        asked, projection = self.asked, self.trained.projection
        gaussian = Gaussian.fit(self.codes, asked.seed)
        drawn = project(gaussian.draw(asked.draws, self.random(4)), projection)
        starts = fitting.starts(images, self.images, self.codes, drawn, hole)
        prior = GaussianPrior(gaussian, asked.prior_weight) if asked.prior_weight else None
        return fitting.fit(
            self.model.evaluated, loss, projection, images, starts, asked.fit_steps, asked.batch_size, prior, hole
        )[0]

    @cached_property
    def held_out_fit(self) -> tuple[np.ndarray, np.ndarray]:
        """The held-out images uint8 [n, H, W, C], and the codes fitted to them, float32 [n, d]."""
        images = self.dataset.images[self.held_out]
        return images, self.fit(images, build_loss(self.trained.loss))

    def random(self, stream: int) -> np.random.Generator:
        """A generator that depends on --seed and the task alone."""
        return np.random.default_rng([self.asked.seed, stream])

    def path(self, task: str, suffix: str) -> Path:
        return self.folder / f"{task}_{self.asked.prefix}.{suffix}"


def load(
    prefix: Path,
    trained: TrainSettings,
    dataset: Dataset,
    asked: EvalSettings,
    folder: Path,
    pictures: tuple[np.ndarray, list[str]] | None = None,
    hole: np.ndarray | None = None,
    image_class: ImageClass | None = None,
) -> Evaluation:
    """Rebuild the model from the checkpoint's own settings and restore it."""
    n = len(dataset.train_rows)
    model = Model(dataset.image_shape, unset(n * (1 + trained.copies(n)), dataset.dimension), trained)
    checkpoint.restore(model, prefix)
    decoder = Decoder(model.evaluated, asked.batch_size)
    return Evaluation(prefix, model, decoder, dataset, trained, asked, folder, pictures, hole, image_class)


def reconstruct(this: Evaluation) -> dict[str, Any]:
    """Training images from their learned codes, all of them; held-out images from fitted codes, --num_fit of them."""
    loss = build_loss(this.trained.loss)
    images, codes = this.images, this.codes
    results = {"train": this.decoder.measure(codes, images, loss).result()}
    shown = np.sort(this.random(0).permutation(len(images))[:SHOWN])
    panels = [_pair("train", results["train"], images[shown], this.decoder.images(codes[shown]))]
    if len(this.dataset.test_rows):
        held_out, found = this.held_out_fit
        results["test"] = this.decoder.measure(found, held_out, loss).result()
        panels.append(_pair("held-out", results["test"], held_out[:SHOWN], this.decoder.images(found[:SHOWN])))
    else:
        logger.warning("%s holds no held-out images: only training images are reconstructed", this.dataset.path)
    pictures.save(this.path("reconstruct", "png"), pictures.below(*panels))
    for name, result in results.items():
        logger.info("%s PSNR %.2f dB, l1 %.4f (%d images)", name, result["psnr"], result["l1"], result["n"])
    return results


def interpolate(this: Evaluation) -> dict[str, Any]:
    """Straight lines and arcs between the codes of pairs of training images, the real images at both ends."""
    images, codes = this.images, this.codes
    pairs = _pairs(this, len(images))
    positions = np.linspace(0, 1, PATH_STEPS)
    panels, frames = [], []
    for name, between in PATHS.items():
        decoded = np.stack([this.decoder.images(between(codes[a], codes[b], positions)) for a, b in pairs])
        rows = np.concatenate([images[pairs[:, 0]][:, None], decoded, images[pairs[:, 1]][:, None]], axis=1)
        caption = f"{name}: real image, {PATH_STEPS} codes from its own to the other's, real image"
        panels.append(pictures.captioned(caption, pictures.grid(rows.reshape(-1, *rows.shape[2:]), rows.shape[1])))
        frames.append(
            [
                pictures.captioned(name, pictures.grid(decoded[:, t], pictures.columns(len(pairs))))
                for t in range(PATH_STEPS)
            ]
        )
    pictures.save(this.path("interpolate", "png"), pictures.below(*panels))
    there = [pictures.beside(*pictures) for pictures in zip(*frames, strict=True)]
    pictures.save_gif(this.path("interpolate", "gif"), there + there[::-1])
    return {"pairs": pairs.tolist()}


TASKS = {
    "reconstruct": reconstruct,
    "restore": restore.restore,
    "generate": generate.generate,
    "per_class": generate.per_class,
    "interpolate": interpolate,
    "metrics": measure.measure,
}


def _pair(name: str, result: dict[str, Any], originals: np.ndarray, reconstructions: np.ndarray) -> np.ndarray:
    return pictures.beside(
        pictures.panel(f"{name}: originals", originals),
        pictures.panel(f"reconstructions, {result['psnr']:.1f} dB", reconstructions),
    )


def _pairs(this: Evaluation, n: int) -> np.ndarray:
    """int64 [p, 2], indices of training images."""
    if not this.asked.pairs:
        drawn = this.random(2)
        return np.stack([drawn.choice(n, 2, replace=n < 2) for _ in range(PAIRS)])
    return np.array([[int(index) for index in pair.split(",")] for pair in this.asked.pairs])
