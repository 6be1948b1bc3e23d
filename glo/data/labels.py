"""Classes of images: those with a label, with an attribute, or without it, as people name them."""

from dataclasses import dataclass

import numpy as np

from glo.data.dataset import Dataset
from glo.runtime.errors import UserError, did_you_mean

LEAST = 10  # training images of a class: the codes of fewer say next to nothing of a distribution
MOST = 100  # classes at a time
ABSENT = "not:"  # before the name of an attribute: images that do not have it
LISTED = 20  # names in an error message, at most
LETTERS = 64  # of a name, at most


@dataclass(frozen=True)
class ImageClass:
    """Some images of a dataset.

    name: for people. key: for file names, such as label-3, attribute-0, or without-0 for images without it.
    members: bool [N], over the rows of the dataset file.
    """

    name: str
    key: str
    members: np.ndarray

    def among(self, rows: np.ndarray) -> np.ndarray:
        """Positions int64 of this class in rows [n] of the file; in `train_rows` those are rows of the code table."""
        return np.flatnonzero(self.members[rows])


def find(dataset: Dataset, text: str) -> ImageClass:
    """The class that a label's name or number, an attribute's name, or not:ATTRIBUTE means, the first of these first.

    Raises `UserError` if there is none of that name, or too few training images to fit a distribution to.
    """
    attributes = () if dataset.attributes is None else dataset.attribute_names
    known: dict[str, tuple[str, int]] = {}  # names to kinds and numbers; later ones win
    for index, name in enumerate(attributes):
        known |= {ABSENT + name: ("without", index), name: ("attribute", index)}
    numbers = [] if dataset.labels is None else np.unique(dataset.labels).tolist()
    known |= {str(number): ("label", number) for number in numbers}
    known |= {
        dataset.label_names[number]: ("label", number) for number in numbers if 0 <= number < len(dataset.label_names)
    }
    if not known:
        raise UserError(f"{dataset.path} has no labels and no attributes: drop --label")
    if text not in known:
        names = [label_name(number, dataset.label_names) for number in numbers] + [*map(printable, attributes)]
        more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
        raise UserError(
            f"--label {text}: {dataset.path} has no such label or attribute, but {', '.join(names[:LISTED])}{more}"
            f"{did_you_mean(text, map(printable, known))}"
        )
    found = _class(dataset, *known[text])
    if (n := len(found.among(dataset.train_rows))) < LEAST:
        raise UserError(
            f"--label {text}: {n} of the training images are of this class, and {LEAST} are needed to fit a "
            "distribution to their codes"
        )
    return found


def every(dataset: Dataset) -> list[ImageClass]:
    """A class for each label, or each attribute if there are no labels; of more than `MOST`, the most frequent ones.

    Those with too few training images are left out. Raises `UserError` if none is left.
    """
    if dataset.labels is not None:
        kind, (numbers, counts) = "label", np.unique(dataset.labels[dataset.train_rows], return_counts=True)
    elif dataset.attributes is not None:
        kind, counts = "attribute", dataset.attributes[dataset.train_rows].sum(axis=0)
        numbers = np.arange(len(counts))
    else:
        raise UserError(f"{dataset.path} has no labels and no attributes: drop --per_class")
    frequent = np.argsort(-counts, kind="stable")[:MOST]
    chosen = np.sort(frequent[counts[frequent] >= LEAST])
    if not len(chosen):
        raise UserError(
            f"{dataset.path} has no label or attribute with {LEAST} training images, which --per_class needs"
        )
    return [_class(dataset, kind, number) for number in numbers[chosen].tolist()]


def label_name(number: int, names: tuple[str, ...]) -> str:
    """'3', or '3 (Dress)' where labels have names."""
    return f"{number} ({printable(names[number])})" if 0 <= number < len(names) else str(number)


def printable(name: str) -> str:
    """A name as it may be printed and drawn: names come with the data, and may hold line breaks or escape codes."""
    return "".join(letter if letter.isprintable() else "?" for letter in name[:LETTERS])


def _class(dataset: Dataset, kind: str, number: int) -> ImageClass:
    if kind == "label":
        return ImageClass(label_name(number, dataset.label_names), f"label-{number}", dataset.labels == number)
    name, has = printable(dataset.attribute_names[number]), kind == "attribute"
    return ImageClass(name if has else f"not {name}", f"{kind}-{number}", dataset.attributes[:, number] == has)
