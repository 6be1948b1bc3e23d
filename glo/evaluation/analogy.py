"""The task `analogy`: A is to B as C is to D, where the code of D is computed from those of three images."""

from typing import Any

import numpy as np

from glo import pictures
from glo.evaluation.session import Session
from glo.inference import analogy

SIDE = 7  # images on a side of the grid
NAMES = ("A", "B", "C", "C + B - A")


def run(session: Session) -> dict[str, Any]:
    """Write the grid between the four images, beside the three given ones, and an animation.

    Codes of training images are the learned ones; codes are fitted to pictures. The animation fades from A to B, beside
    C to D, and back.
    """
    settings, run = session.settings, session.run
    if session.analogy is None:
        rows = np.array(settings.analogy_rows)
        images, codes, conditions = session.images[rows], run.codes[rows], run.conditions[rows]
        result = {"rows": rows.tolist()}
    else:
        images, fit = session.analogy, session.fit(session.analogy)
        codes, conditions = fit.codes, fit.conditions
        result = {"pictures": list(settings.analogy)}
    corners, projection = np.vstack([conditions, run.conditions.analogous(conditions)]), run.settings.projection
    _, cells = analogy.complete(run.decoder, codes, corners, *[np.linspace(0, 1, SIDE)] * 2, projection)
    four = [*images, cells[-1, -1]]
    column = [_captioned(name, image) for name, image in zip(NAMES, four, strict=True)]
    caption = "decoded: from A to B above, from C to C + B - A below"
    filled = pictures.captioned(caption, pictures.grid(np.concatenate(cells), SIDE))
    pictures.save(session.path("analogy", "png"), pictures.beside(pictures.below(*column), filled))
    turn = 2 * np.pi * np.arange(pictures.GIF_FRAMES) / pictures.GIF_FRAMES
    eased = (1 - np.cos(turn)) / 2
    _, (above, below) = analogy.complete(run.decoder, codes, corners, np.array([0, 1]), eased, projection)
    pairs = zip(above, below, strict=True)
    frames = [
        pictures.beside(_captioned("A to B", first), _captioned("C to C + B - A", second)) for first, second in pairs
    ]
    pictures.save_gif(session.path("analogy", "gif"), frames)
    return {"analogy": result}


def _captioned(name: str, image: np.ndarray) -> np.ndarray:
    """A captioned image, from uint8 [H, W, C]."""
    return pictures.captioned(name, pictures.grid(image[None], 1))
