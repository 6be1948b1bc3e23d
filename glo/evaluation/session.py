"""The session that the tasks of evaler.py share: a loaded run, its dataset, and the settings of the evaluation."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from glo.data.dataset import Dataset
from glo.data.labels import ImageClass
from glo.data.lazy_array import Rows
from glo.data.randomness import Stream, permutation
from glo.features import extractors
from glo.features.extractors import Extractor
from glo.inference.fitting import Fit
from glo.model.losses import Loss
from glo.run import Run
from glo.samplers.cache import Fitted
from glo.settings import EvalSettings

COMPARED = 100_000  # training images whose features are compared, at most


@dataclass
class Session:
    """The argument of every task.

    run: a run restored from a checkpoint. dataset: the dataset that it was trained on. settings: settings of evaler.py.
    folder: the output folder. pictures: pictures of --images, uint8 [n, H, W, C], and their names.
    hole: mask of --inpaint, bool [H, W, 1]. image_class: class of --label.
    analogy: pictures of --analogy, uint8 [3, H, W, C]; None if it names training images.
    codes: of --decode, float32 [n, d], and their conditions, float32 [n, k].
    tensorflow_js: the text of TensorFlow.js, for --explore.
    """

    run: Run
    dataset: Dataset
    settings: EvalSettings
    folder: Path
    pictures: tuple[np.ndarray, list[str]] | None = None
    hole: np.ndarray | None = None
    image_class: ImageClass | None = None
    analogy: np.ndarray | None = None
    codes: tuple[np.ndarray, np.ndarray] | None = None
    tensorflow_js: str | None = None

    @property
    def images(self) -> Rows:
        """Training images, uint8 [n, H, W, C], in the order of the code table."""
        return self.dataset.train_images

    @property
    def seen_images(self) -> Rows:
        """The images that the generator learned from, uint8 [m, H, W, C]. Of a GAN, `images` are some of them."""
        return self.dataset.seen_images

    @property
    def sampler_name(self) -> str:
        """The sampler of --sampler, by default that of the run's settings."""
        return self.settings.sampler_of(self.run.settings)

    @property
    def temperature(self) -> float:
        """The temperature of --temperature, by default `Run.temperature` of the sampler."""
        return self.settings.temperature or self.run.temperature(self.sampler_name)

    @property
    def prior(self) -> float:
        """The weight of the prior on fitted codes, see --prior."""
        return self.settings.prior_of(self.run.settings)

    @cached_property
    def sampler(self) -> Fitted:
        """The sampler fitted to the learned codes, with --label to those of the class."""
        return self.fit_sampler(self.image_class)

    def fit_sampler(self, image_class: ImageClass | None) -> Fitted:
        """Fit the sampler to the learned codes of a class, or to all codes for None."""
        return self.run.fit_sampler(self.sampler_name, self.settings.components, image_class, self.settings.seed)

    def draw(self, sampler: Fitted, n: int, image_class: ImageClass | None) -> tuple[np.ndarray, np.ndarray]:
        """New codes from a sampler, float32 [n, d], projected as in training, and their conditions, float32 [n, k].

        Conditions are those of random training images, of the class if it is given.
        """
        codes = sampler.draw(n, self.settings.seed, self.run.settings.projection, self.temperature)
        return codes, self.run.draw_conditions(n, self.settings.seed, image_class)

    def scores(self, sampler: Fitted) -> dict[str, float | int | str | None]:
        """Options of a sampler and its scores on held-out codes, for metrics.json."""
        distance = sampler.energy_distance(self.settings.seed, self.run.settings.projection, self.temperature)
        return {
            "components": sampler.components,
            "bandwidth": sampler.bandwidth,
            "fitted_to": f"{sampler.n} learned codes",
            "log_likelihood": sampler.log_likelihood,
            "fitted_log_likelihood": sampler.fitted_log_likelihood,
            "energy_distance": distance,
            "fitting_seconds": sampler.seconds,
        }

    @cached_property
    def extractor(self) -> Extractor:
        """The network of --extractor. One that learns from the dataset is trained if it is not saved beside it."""
        return extractors.make(self.settings, self.dataset)

    @cached_property
    def coded_rows(self) -> np.ndarray:
        """The rows of `seen_images` that have codes, int64 [n], in the order of the code table: all but with a GAN."""
        return np.searchsorted(self.dataset.seen_rows, self.dataset.train_rows)

    @cached_property
    def compared_rows(self) -> np.ndarray:
        """The rows of `seen_images` whose features are compared, int64 [n], ascending: all, or `COMPARED` of them."""
        return self.choose(np.arange(len(self.seen_images)), COMPARED, Stream.COPYING_TRAINING)

    @cached_property
    def train_features(self) -> np.ndarray:
        """Features float32 [n, d] of the training images `compared_rows`."""
        return extractors.features(self.extractor, Rows(self.seen_images, self.compared_rows))

    @cached_property
    def held_out(self) -> np.ndarray:
        """Rows of held-out images, at most --num_fit of them, int64, ascending."""
        n = self.settings.most_fitted(self.dataset.image_shape)
        return self.choose(self.dataset.test_rows, n, Stream.FITTED_IMAGES)

    @cached_property
    def held_out_fit(self) -> tuple[np.ndarray, Fit]:
        """The held-out images uint8 [n, H, W, C], and the codes fitted to them under their own conditions."""
        images, conditions = self.dataset.images[self.held_out], self.dataset.conditions[self.held_out]
        return images, self.fit(images, conditions=conditions)

    def fit(
        self,
        images: np.ndarray,
        loss: Loss | None = None,
        hole: np.ndarray | None = None,
        conditions: np.ndarray | None = None,
    ) -> Fit:
        """Fit codes to images uint8 [n, H, W, C] but for the hole, bool [H, W, 1].

        loss: by default that of the run. conditions: of the images, float32 [n, k]; None if they are unknown.
        """
        settings = self.settings
        return self.run.fitter.fit(
            images, loss, settings.fit_steps, hole, self.prior, settings.draws, settings.seed,
            settings.start, conditions,
        )  # fmt: skip

    def choose(self, rows: np.ndarray, n: int, stream: Stream) -> np.ndarray:
        """Choose at most n of rows int64 [m] by the seed; the result is ascending."""
        return np.sort(rows[permutation(len(rows), self.settings.seed, stream)[:n]])

    def path(self, task: str, suffix: str) -> Path:
        """The output file <task>_<prefix>.<suffix>."""
        return self.folder / f"{task}_{self.settings.prefix}.{suffix}"
