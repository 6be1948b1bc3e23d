"""The task `attributes`: real images with more or less of an attribute, or moved to and from a label."""

from typing import Any

import numpy as np

from glo import pictures
from glo.data import labels
from glo.data.labels import ImageClass
from glo.data.randomness import Stream
from glo.evaluation import results
from glo.evaluation.session import Session
from glo.inference.fitting import Fit
from glo.runtime.log import logger

SHOWN = 8  # held-out images, and images in the picture
BESIDE = 2  # attributes beside each other in the picture
COLUMNS = 4  # of images in the animation


def run(session: Session) -> dict[str, Any]:
    """Fit codes to the pictures of --images, or to `SHOWN` held-out images, and move them along --attributes.

    Writes a picture with a row for each image, an animation, and an .npz with `image` uint8 [n, H, W, C] and its `code`
    float32 [n, d], `edited` uint8 [k, s, n, H, W, C] and `edited_code` float32 [k, s, n, d] for each `attribute` and
    `strength`, and `name`.
    """
    settings, run = session.settings, session.run
    classes = [labels.contrast(session.dataset, name, "--attributes") for name in settings.attribute_names]
    if session.pictures:
        images, names = session.pictures
    else:
        n = min(SHOWN, settings.most_fitted(session.dataset.image_shape))
        rows = session.choose(session.dataset.test_rows, n, Stream.EDITED_IMAGES)
        images, names = session.dataset.images[rows], list(map(str, rows))
    fit = session.fit(images)
    codes = fit.codes
    strengths = settings.strength_values
    moved = np.stack([[_move(session, codes, each, strength) for strength in strengths] for each in classes])
    conditions = np.tile(fit.conditions, (len(classes) * len(strengths), 1))
    edited = run.decoder.images(moved.reshape(-1, codes.shape[1]), conditions)
    edited = edited.reshape(*moved.shape[:3], *run.image_shape)
    panels = [_panel(each.name, images, strengths, part) for each, part in zip(classes, edited, strict=True)]
    pictures.save(session.path("attributes", "png"), _arranged(panels))
    pictures.save_gif(session.path("attributes", "gif"), _frames(session, classes, fit))
    chosen = [image_class.name for image_class in classes]
    results.save_arrays(
        session.path("attributes", "npz"), image=images, code=codes, edited=edited, edited_code=moved,
        attribute=np.array(chosen), strength=np.array(strengths), name=np.array(names),
    )  # fmt: skip
    logger.info("%s: %d images, each with strengths %s", ", ".join(chosen), len(images), settings.strengths)
    return {
        "attributes": {
            "names": chosen, "direction": settings.direction, "strengths": strengths, "n": len(images),
        }
    }  # fmt: skip


def _move(session: Session, codes: np.ndarray, image_class: ImageClass, strength: float) -> np.ndarray:
    run = session.run
    return run.directions.move(codes, image_class.key, strength, run.settings.projection, session.settings.direction)


def _panel(name: str, images: np.ndarray, strengths: tuple[float, ...], edited: np.ndarray) -> np.ndarray:
    """A row for each of the first images uint8 [n, H, W, C]: the image, then edited ones [s, n, H, W, C]."""
    texts = ["original", *(f"{strength:+g}" if strength else "0" for strength in strengths)]
    columns = [
        pictures.captioned(text, pictures.grid(column[:SHOWN], 1))
        for text, column in zip(texts, [images, *edited], strict=True)
    ]
    return pictures.captioned(f"{name}, strengths", pictures.beside(*columns))


def _frames(session: Session, classes: list[ImageClass], fit: Fit) -> list[np.ndarray]:
    """Frames of a loop from the lowest strength, or 0, to the highest one, or 0, and back."""
    low, high = min(0.0, *session.settings.strength_values), max(0.0, *session.settings.strength_values)
    turn = 2 * np.pi * np.arange(pictures.GIF_FRAMES) / pictures.GIF_FRAMES
    frames = []
    for strength in low + (high - low) * (1 - np.cos(turn)) / 2:
        panels = []
        for image_class in classes:
            moved = _move(session, fit.codes[:SHOWN], image_class, strength)
            edited = session.run.decoder.images(moved, fit.conditions[:SHOWN])
            grid = pictures.grid(edited, min(COLUMNS, len(edited)))
            panels.append(pictures.captioned(f"{image_class.name} {strength:+.1f}", grid))
        frames.append(_arranged(panels))
    return frames


def _arranged(panels: list[np.ndarray]) -> np.ndarray:
    """Panels side by side, `BESIDE` in a row."""
    rows = [pictures.beside(*panels[start : start + BESIDE]) for start in range(0, len(panels), BESIDE)]
    return pictures.below(*rows)
