"""The task `interpolate`: images along paths between the codes of pairs of training images."""

from typing import Any

import numpy as np

from glo import pictures
from glo.data.randomness import Stream, random_generator
from glo.evaluation.session import Session
from glo.inference.paths import interpolate

PAIRS = 8  # number of pairs without --pairs
PATH_STEPS = 10  # images on a path, ends included
TITLES = {"line": "straight line", "arc": "arc", "graph": "nearest-neighbour graph"}


def run(session: Session) -> dict[str, Any]:
    """Write a picture with a row for each pair, between the two training images, and an animation of the paths."""
    images, codes, conditions = session.images, session.run.codes, session.run.conditions
    pairs = _pairs(session, len(images))
    panels, frames = [], []
    for path, title in TITLES.items():
        if path != "line" and session.settings.path not in (path, "all"):
            continue
        ends, under = codes[pairs.T], (conditions[pairs[:, 0]], conditions[pairs[:, 1]])
        _, decoded = interpolate(session.run.decoder, path, codes, *ends, PATH_STEPS, session.settings.seed, under)
        rows = np.concatenate([images[pairs[:, 0]][:, None], decoded, images[pairs[:, 1]][:, None]], axis=1)
        caption = f"{title}: training image, {PATH_STEPS} images of interpolated codes, training image"
        panels.append(pictures.captioned(caption, pictures.grid(rows.reshape(-1, *rows.shape[2:]), rows.shape[1])))
        grids = [pictures.grid(decoded[:, t], pictures.columns(len(pairs))) for t in range(PATH_STEPS)]
        frames.append([pictures.captioned(title, grid) for grid in grids])
    pictures.save(session.path("interpolate", "png"), pictures.below(*panels))
    forward = [pictures.beside(*frame) for frame in zip(*frames, strict=True)]
    pictures.save_gif(session.path("interpolate", "gif"), forward + forward[::-1])
    return {"interpolate": {"pairs": pairs.tolist()}}


def _pairs(session: Session, n: int) -> np.ndarray:
    """Pairs of indices of training images, int64 [p, 2]: those of --pairs, or a seeded choice."""
    if session.settings.pairs:
        return np.array([[int(index) for index in pair.split(",")] for pair in session.settings.pairs])
    random = random_generator(session.settings.seed, Stream.PAIRS)
    return np.stack([random.choice(n, 2, replace=n < 2) for _ in range(PAIRS)])
