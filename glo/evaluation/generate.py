"""The tasks `generate` and `per_class`: images from codes that are drawn from distributions fitted to learned ones."""

from typing import TYPE_CHECKING, Any

import numpy as np

from glo import pictures
from glo.data import labels
from glo.data.labels import ImageClass
from glo.inference.neighbors import nearest
from glo.metrics import memorization
from glo.runtime import files
from glo.runtime.log import logger
from glo.samplers import NEAR_MEMORISING
from glo.samplers.cache import Fitted

if TYPE_CHECKING:
    from glo.evaluation.session import Evaluation

NEIGHBORS = 10  # samples that are shown with their nearest training image
COMPARED = 1000  # samples, and held-out images, that the memorisation share is taken of
EACH = 10  # samples of a class in the picture of all classes


def generate(this: "Evaluation") -> dict[str, Any]:
    """Images from codes drawn from the sampler; some of them above their nearest training image."""
    asked, sampler = this.asked, this.sampler
    codes = this.drawn(max(asked.num_samples, COMPARED))
    copied = _memorised(this, codes[:COMPARED])
    codes = codes[: asked.num_samples]
    images = this.decoder.images(codes)
    title = _title(this, this.image_class)
    compared = images[:NEIGHBORS]
    closest = this.images[nearest(compared, this.images)[1][:, 0]]
    picture = pictures.below(
        pictures.captioned(f"samples, {title}", pictures.grid(images, pictures.columns(len(images)))),
        pictures.captioned("some of them, above", pictures.grid(compared, len(compared))),
        pictures.captioned("their nearest training images", pictures.grid(closest, len(compared))),
    )
    pictures.save(this.path("generate", "png"), picture)
    _save(this, "generate", image=images, code=codes)
    _log(title, sampler)
    if copied is not None:
        logger.info(
            "memorisation: %.1f %% of samples are as near to a training image as the nearest %.0f %% of held-out "
            "images are", 100 * copied, 100 * memorization.HONEST,
        )  # fmt: skip
    return {
        "sampler": sampler.name,
        "label": this.image_class.name if this.image_class else None,
        "temperature": this.temperature,
        "n": len(images),
        **_scores(sampler),
        "memorisation_share": copied,
        "near_memorising": sampler.name in NEAR_MEMORISING,
    }


def per_class(this: "Evaluation") -> dict[str, Any]:
    """A row of samples for each class of images, from a distribution fitted to the codes of that class alone."""
    classes = labels.every(this.dataset)
    codes, results = [], []
    for some in classes:
        sampler = this.fitted(some)
        codes.append(this.draw(sampler, EACH))
        n = len(some.among(this.dataset.train_rows))
        results.append({"label": some.name, "training_images": n, **_scores(sampler)})
        _log(_title(this, some), sampler)
    images = [this.decoder.images(part) for part in codes]
    rows = [
        pictures.captioned(some.name, pictures.grid(part, EACH)) for some, part in zip(classes, images, strict=True)
    ]
    picture = pictures.captioned(f"samples of each class, {_title(this, None)}", pictures.below(*rows))
    pictures.save(this.path("per_class", "png"), picture)
    names = np.array([some.name for some in classes])
    _save(this, "per_class", image=np.stack(images), code=np.stack(codes), label=names)
    return {"sampler": this.sampler_name, "temperature": this.temperature, "n": EACH, "classes": results}


def _title(this: "Evaluation", image_class: ImageClass | None) -> str:
    """What is drawn from, for people."""
    title = this.sampler_name + ", near-memorising" * (this.sampler_name in NEAR_MEMORISING)
    if this.temperature != 1:
        title += f", temperature {this.temperature:g}"
    return f"{image_class.name}: {title}" if image_class else title


def _scores(sampler: Fitted) -> dict[str, float | None]:
    return {
        "log_likelihood": sampler.log_likelihood,
        "energy_distance": sampler.energy_distance,
        "fitting_seconds": sampler.seconds,
    }


def _log(title: str, sampler: Fitted) -> None:
    scores = {"log likelihood": sampler.log_likelihood, "energy distance": sampler.energy_distance}
    told = ", ".join(f"{score} {value:.4g}" for score, value in scores.items() if value is not None)
    logger.info("samples, %s, fitted in %.1f s; on held-out codes: %s", title, sampler.seconds, told or "too few")


def _save(this: "Evaluation", task: str, **arrays: np.ndarray) -> None:
    with files.replacing(this.path(task, "npz")) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)


def _memorised(this: "Evaluation", codes: np.ndarray) -> float | None:
    """The memorisation share of the images of codes [n, d]; None where no image, of their class, was held out."""
    rows = this.dataset.test_rows
    if this.image_class:
        rows = rows[this.image_class.among(rows)]
    rows = np.sort(this.random(8).permutation(rows)[:COMPARED])
    return memorization.share(this.decoder.images(codes), this.images, this.dataset.images[rows]) if len(rows) else None
