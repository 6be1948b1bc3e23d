"""The task `directions`: how well directions of codes tell images with an attribute or label from those without it."""

from typing import Any

import numpy as np

from glo.data import labels
from glo.evaluation.session import Session
from glo.runtime.log import logger

HEADINGS = ("share", "accuracy", "balanced", "by means")


def run(session: Session) -> dict[str, Any]:
    """Predict the attributes and labels of at most --num_fit held-out images from codes fitted to them.

    For each, the results are the share of training images that have it, the accuracy of the regression, its balanced
    accuracy (the mean of those of images with and without it; None if one of them is missing), and the balanced
    accuracy by the nearer class mean. They are sorted by the balanced accuracy.
    """
    dataset = session.dataset
    classes, directions = labels.contrasts(dataset, "--directions"), session.run.directions
    codes = session.held_out_fit[1].codes
    predictions = zip(directions.predict(codes).T, directions.predict_by_means(codes).T, strict=True)
    measured = {}
    for image_class, (predicted, by_means) in zip(classes, predictions, strict=True):
        true = image_class.members[session.held_out]
        measured[image_class.name] = {
            "share": float(image_class.members[dataset.train_rows].mean()),
            "accuracy": float(np.mean(predicted == true)),
            "balanced": _balanced(predicted, true),
            "by means": _balanced(by_means, true),
        }
    logger.info("directions are measured on fitted codes of %d held-out images", len(codes))
    ordered = sorted(measured.items(), key=lambda item: -(item[1]["balanced"] or 0))
    return {"directions": {"n": len(codes), "of": dict(ordered)}}


def table(results: dict[str, Any]) -> str:
    """Format results as text for the terminal, with one line per direction."""
    rows = results["of"]
    width = max(map(len, ["direction", *rows]))
    head = f"{'direction':{width}}" + "".join(f"  {heading:>9}" for heading in HEADINGS)
    lines = [
        f"{name:{width}}" + "".join(f"  {_percent(row[heading]):>9}" for heading in HEADINGS)
        for name, row in rows.items()
    ]
    return "\n".join([f"predicted from fitted codes of {results['n']} held-out images", head, *lines])


def _balanced(predicted: np.ndarray, true: np.ndarray) -> float | None:
    """The balanced accuracy of predictions bool [n]; None if all true values, bool [n], are equal."""
    if true.all() or not true.any():
        return None
    return float((predicted[true].mean() + (~predicted[~true]).mean()) / 2)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"
