"""The task `neighbors`: nearest images in code space beside nearest images in pixels, and classification by both."""

from typing import Any

import numpy as np

from glo import pictures
from glo.data.lazy_array import Rows
from glo.data.randomness import Stream
from glo.evaluation.session import Session
from glo.inference.neighbors import nearest
from glo.metrics import nearest_labels
from glo.runtime.log import logger

SHOWN, NEIGHBORS = 10, 8  # images of the picture, and neighbors of each
KS = (1, 5, 20)
LEFT_OUT = 5000  # training images that are classified by all others, at most


def run(session: Session) -> dict[str, Any]:
    """A picture and, for datasets with labels, the accuracies of k-NN among the training images.

    Training images are compared with all others (leave-one-out) by their learned codes, held-out images by codes that
    are fitted to them.
    """
    labels, codes, count = session.dataset.labels, session.run.codes, max(*KS, NEIGHBORS)
    everyone = np.arange(len(codes))
    rows = session.choose(everyone, SHOWN if labels is None else LEFT_OUT, Stream.LEFT_OUT_NEIGHBORS)
    left_out = Rows(session.dataset.images, session.dataset.train_rows[rows])
    by_space = {
        "codes": _others(rows, nearest(codes[rows], codes, count + 1)[1]),
        "pixels": _others(rows, nearest(left_out, session.images, count + 1)[1]),
    }
    panels, measured = [_panel(session, "training images", left_out, by_space)], {}
    if labels is not None:
        measured["train"] = _accuracies(session, by_space, session.dataset.train_rows[rows])
    if len(session.held_out):
        images, fit = session.held_out_fit
        by_space = {
            "codes": nearest(fit.codes, codes, count)[1],
            "pixels": nearest(images, session.images, count)[1],
        }
        panels.append(_panel(session, "held-out images", images, by_space))
        if labels is not None:
            measured["test"] = _accuracies(session, by_space, session.held_out)
    else:
        logger.warning("%s holds no held-out images: only training images are compared", session.dataset.path)
    pictures.save(session.path("neighbors", "png"), pictures.below(*panels))
    if labels is None:
        logger.info("%s has no labels: the neighbors are shown, and nothing is classified", session.dataset.path)
    for split, result in measured.items():
        for space in by_space:
            text = ", ".join(f"k = {k} {100 * accuracy:.1f} %" for k, accuracy in result[space].items())
            logger.info("labels of %d %s images by k-NN of %s: %s", result["n"], split, space, text)
    return {"neighbors": measured}


def _others(rows: np.ndarray, neighbors: np.ndarray) -> np.ndarray:
    """Remove each point from its own neighbors, int64 [n, k + 1]; the last one where k + 1 duplicates hide the point.

    rows: int64 [n], the numbers of the points. Returns int64 [n, k].
    """
    keep = neighbors != rows[:, None]
    keep[keep.all(axis=1), -1] = False
    return neighbors[keep].reshape(len(rows), -1)


def _accuracies(session: Session, by_space: dict[str, np.ndarray], rows: np.ndarray) -> dict[str, Any]:
    """For each space, the accuracy of k-NN by k, as far as there are k neighbors. rows: of the file, int64 [n]."""
    labels = session.dataset.labels
    known = labels[session.dataset.train_rows]
    accuracies = {
        space: {
            str(k): nearest_labels.accuracy(known[neighbors[:, :k]], labels[rows])
            for k in KS
            if k <= neighbors.shape[1]
        }
        for space, neighbors in by_space.items()
    }
    return {"n": len(rows), **accuracies}


def _panel(session: Session, name: str, images: np.ndarray | Rows, by_space: dict[str, np.ndarray]) -> np.ndarray:
    """Some images, evenly chosen, and on the right of each the training images nearest to it in each space."""
    shown = np.unique(np.linspace(0, len(images) - 1, SHOWN).round().astype(int))
    grids = [pictures.captioned("image", pictures.grid(images[shown], 1))]
    for space, neighbors in by_space.items():
        rows = neighbors[shown, :NEIGHBORS]
        grid = pictures.grid(session.images[rows.ravel()], rows.shape[1])
        grids.append(pictures.captioned(f"nearest training images by {space}", grid))
    return pictures.captioned(f"{name} and their neighbors", pictures.beside(*grids))
