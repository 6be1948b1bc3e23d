"""The task `class_sweep`: the codes of real images under every class, or with each attribute absent and present."""

from typing import Any

import numpy as np

from glo import pictures
from glo.data.names import printable
from glo.data.randomness import Stream
from glo.evaluation.session import Session
from glo.inference import sweeps
from glo.inference.interpolation import loop

ROWS = 8  # images
MAX_COLUMNS = 20


def run(session: Session) -> dict[str, Any]:
    """A row for each image, the real one first; as a picture, and as an animation that fades from class to class.

    Codes are fitted to held-out images under their own conditions; without held-out images, training images are shown.
    """
    images, codes, conditions = _images(session)
    names, swept = session.run.conditions.variations(conditions)
    swept = swept[:, :MAX_COLUMNS]
    rows = np.concatenate([images[:, None], sweeps.conditions(session.run.decoder, codes, swept)], axis=1)
    listed = ", ".join(map(printable, names[:MAX_COLUMNS]))
    caption = f"a real image, then its code as {listed}"
    grid = pictures.grid(rows.reshape(-1, *rows.shape[2:]), rows.shape[1])
    pictures.save(session.path("class_sweep", "png"), pictures.captioned(caption, grid))
    frames = []
    for vectors in loop(np.moveaxis(swept, 1, 0), pictures.GIF_FRAMES):
        frames.append(pictures.grid(session.run.decoder.images(codes, vectors), pictures.columns(len(codes))))
    pictures.save_gif(session.path("class_sweep", "gif"), frames)
    return {"class_sweep": {"columns": list(names[:MAX_COLUMNS]), "n": len(images)}}


def _images(session: Session) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images uint8 [n, H, W, C], their codes float32 [n, d] and conditions float32 [n, k]."""
    dataset, run = session.dataset, session.run
    if not len(dataset.test_rows):
        rows = session.choose(np.arange(len(session.images)), ROWS, Stream.SWEPT_IMAGES)
        return session.images[rows], run.codes[rows], run.conditions[rows]
    rows = session.choose(dataset.test_rows, ROWS, Stream.SWEPT_IMAGES)
    images, conditions = dataset.images[rows], dataset.conditions[rows]
    return images, session.fit(images, conditions=conditions).codes, conditions
