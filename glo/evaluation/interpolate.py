"""The task `interpolate`: straight lines and arcs between the codes of pairs of training images."""

from typing import Any

import numpy as np

from glo import pictures
from glo.data.randomness import Stream, random_generator
from glo.evaluation.session import Session
from glo.inference.interpolation import PATHS, linear

PAIRS, PATH_STEPS = 8, 10


def run(session: Session) -> dict[str, Any]:
    """A row for each pair of --pairs, the real images at both ends; as a picture, and as an animation."""
    images, codes, conditions = session.images, session.run.codes, session.run.conditions
    pairs = _pairs(session, len(images))
    positions = np.linspace(0, 1, PATH_STEPS)
    panels, frames = [], []
    for name, between in PATHS.items():
        paths = [(between(*codes[pair], positions), linear(*conditions[pair], positions)) for pair in pairs]
        decoded = np.stack([session.run.decoder.images(*path) for path in paths])
        rows = np.concatenate([images[pairs[:, 0]][:, None], decoded, images[pairs[:, 1]][:, None]], axis=1)
        caption = f"{name}: a real image, {PATH_STEPS} codes from its own to the other's, the other image"
        panels.append(pictures.captioned(caption, pictures.grid(rows.reshape(-1, *rows.shape[2:]), rows.shape[1])))
        grids = [pictures.grid(decoded[:, t], pictures.columns(len(pairs))) for t in range(PATH_STEPS)]
        frames.append([pictures.captioned(name, grid) for grid in grids])
    pictures.save(session.path("interpolate", "png"), pictures.below(*panels))
    forth = [pictures.beside(*frame) for frame in zip(*frames, strict=True)]
    pictures.save_gif(session.path("interpolate", "gif"), forth + forth[::-1])
    return {"interpolate": {"pairs": pairs.tolist()}}


def _pairs(session: Session, n: int) -> np.ndarray:
    """int64 [p, 2], indices of training images: those of --pairs, or a seeded choice."""
    if session.settings.pairs:
        return np.array([[int(index) for index in pair.split(",")] for pair in session.settings.pairs])
    random = random_generator(session.settings.seed, Stream.PAIRS)
    return np.stack([random.choice(n, 2, replace=n < 2) for _ in range(PAIRS)])
