"""The task `generate`: images of codes drawn from a sampler that is fitted to the learned codes."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from glo import pictures
from glo.data.labels import ImageClass
from glo.data.randomness import Stream
from glo.evaluation import results
from glo.evaluation.session import Session
from glo.inference.neighbors import nearest
from glo.metrics import memorization
from glo.runtime import files
from glo.runtime.log import logger
from glo.samplers import NEAR_MEMORISING
from glo.samplers.cache import Fitted

NEIGHBORS = 10  # samples that are shown with their nearest training image
COMPARED = 1000  # number of samples, and largest number of held-out images, for the memorisation share
SHOWN = 1024  # at most this many samples are shown


def run(session: Session) -> dict[str, Any]:
    """Draw samples, show some of them with their nearest training images, and measure how many are near copies.

    Writes a picture, an .npz with `image` and `code`, and numbered PNGs with --export_samples.
    """
    settings, sampler, decoder = session.settings, session.sampler, session.run.decoder
    codes, conditions = session.draw(sampler, max(settings.num_samples, COMPARED), session.image_class)
    images = decoder.images(codes, conditions)
    memorisation_share = _memorisation_share(session, images[:COMPARED])
    codes, images = codes[: settings.num_samples], images[: settings.num_samples]
    title = describe(session, session.image_class)
    some = images[:NEIGHBORS]
    neighbors = session.seen_images[nearest(some, session.seen_images)[1][:, 0]]
    picture = pictures.below(
        pictures.captioned(f"samples, {title}", pictures.grid(images[:SHOWN], pictures.columns(len(images[:SHOWN])))),
        pictures.captioned("some of these samples", pictures.grid(some, len(some))),
        pictures.captioned("their nearest training images", pictures.grid(neighbors, len(some))),
    )
    pictures.save(session.path("generate", "png"), picture)
    results.save_arrays(session.path("generate", "npz"), image=images, code=codes)
    if settings.export_samples:
        _export(images, Path(settings.export_samples), settings.force)
    log_scores(session, title, sampler)
    if memorisation_share is not None:
        logger.info(
            "memorisation: %.1f %% of samples are as near to a training image as the nearest %.0f %% of held-out "
            "images", 100 * memorisation_share, 100 * memorization.QUANTILE,
        )  # fmt: skip
    return {
        "generate": {
            "sampler": sampler.name,
            "label": session.image_class.name if session.image_class else None,
            "temperature": session.temperature,
            "n": len(images),
            **session.scores(sampler),
            "memorisation_share": memorisation_share,
            "near_memorising": sampler.name in NEAR_MEMORISING,
        }
    }


def describe(session: Session, image_class: ImageClass | None) -> str:
    """Name the class, the sampler and its temperature, for captions and the log."""
    title = session.sampler_name + ", near-memorising" * (session.sampler_name in NEAR_MEMORISING)
    if session.temperature != 1:
        title += f", temperature {session.temperature:g}"
    return f"{image_class.name}: {title}" if image_class else title


def log_scores(session: Session, title: str, sampler: Fitted) -> None:
    """Log the scores of a sampler on held-out codes."""
    scores = {name: value for name, value in session.scores(sampler).items() if value is not None}
    names = [name for name in ("log_likelihood", "energy_distance") if name in scores]
    text = ", ".join(f"{name.replace('_', ' ')} {scores[name]:.4g}" for name in names)
    logger.info("samples, %s, fitted in %.1f s; on held-out codes: %s", title, sampler.seconds, text or "no scores")


def _export(images: np.ndarray, folder: Path, force: bool) -> None:
    """Write images uint8 [n, H, W, C] as 00000.png, 00001.png and so on, as tools that compute FID read them."""
    digits = max(5, len(str(len(images) - 1)))
    with files.replacing_folder(folder, marker="*.png", force=force) as temporary:
        for index, image in enumerate(tqdm(images, desc="writing PNGs", unit="image", disable=None, leave=False)):
            Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(
                temporary / f"{index:0{digits}d}.png", compress_level=3
            )
    logger.info("%d samples written to %s", len(images), folder)


def _memorisation_share(session: Session, images: np.ndarray) -> float | None:
    """Memorisation share of images uint8 [n, H, W, C]; None without held-out images (of the class)."""
    rows = session.dataset.test_rows
    if session.image_class:
        rows = rows[session.image_class.among(rows)]
    if not len(rows):
        return None
    held_out = session.dataset.images[session.choose(rows, COMPARED, Stream.MEMORIZATION_IMAGES)]
    return memorization.share(images, session.seen_images, held_out)
