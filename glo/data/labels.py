"""Classes of images, which the user selects by name: images with a label, with an attribute, or without it."""

import math
from dataclasses import dataclass

import numpy as np

from glo.data.dataset import Dataset
from glo.data.names import ABSENT, MAX_LISTED, label_name, printable
from glo.runtime.errors import UserError, did_you_mean, shortened

MIN_IMAGES = 10  # training images of a class: a distribution cannot be fitted to fewer codes
MIN_SHARE = 1e-3  # of the training images, which a class has if it is to be told from the others
MAX_CLASSES = 100  # that `every` returns


@dataclass(frozen=True)
class ImageClass:
    """A class of images in a dataset.

    name: shown to the user. key: used in file names: label-3, attribute-0, or without-0 for images without attribute 0.
    members: bool [N], which rows of the dataset file belong to the class.
    """

    name: str
    key: str
    members: np.ndarray

    def among(self, rows: np.ndarray) -> np.ndarray:
        """The positions in `rows` of the images of this class, int64, ascending.

        rows: row numbers of the file, int64 [n]. With the `train_rows` of a dataset, the result are rows of the code
        table.
        """
        return np.flatnonzero(self.members[rows])


def find(dataset: Dataset, text: str, flag: str = "--label") -> ImageClass:
    """The class that `text` names: the name or number of a label, the name of an attribute, or not:ATTRIBUTE.

    If the text has several meanings, the first of these is used. flag: named by errors.
    Raises `UserError` if there is no such class, or if it has fewer than `MIN_IMAGES` training images.
    """
    attributes = () if dataset.attributes is None else dataset.attribute_names
    known: dict[str, tuple[str, int]] = {}  # from names to kinds and numbers; later entries replace earlier ones
    for index, name in enumerate(attributes):
        known |= {ABSENT + name: ("without", index), name: ("attribute", index)}
    numbers = [] if dataset.labels is None else np.unique(dataset.labels).tolist()
    known |= {str(number): ("label", number) for number in numbers}
    known |= {
        dataset.label_names[number]: ("label", number) for number in numbers if 0 <= number < len(dataset.label_names)
    }
    if not known:
        raise UserError(f"{dataset.path} has no labels and no attributes: drop {flag}")
    if text not in known:
        names = [label_name(number, dataset.label_names) for number in numbers] + [*map(printable, attributes)]
        more = f" and {len(names) - MAX_LISTED} more" if len(names) > MAX_LISTED else ""
        raise UserError(
            f"{flag} {shortened(text)}: {dataset.path} has no such label or attribute, but "
            f"{', '.join(names[:MAX_LISTED])}{more}{did_you_mean(text, map(printable, known))}"
        )
    image_class = _class(dataset, *known[text])
    if (n := len(image_class.among(dataset.train_rows))) < MIN_IMAGES:
        raise UserError(
            f"{flag} {text}: {n} of the training images are of this class, and {MIN_IMAGES} are needed to learn from "
            "their codes"
        )
    return image_class


def every(dataset: Dataset) -> list[ImageClass]:
    """A class for each label, or for each attribute if there are no labels.

    Classes with fewer than `MIN_IMAGES` training images are left out. Of more than `MAX_CLASSES` classes, those with
    the most training images are returned. Raises `UserError` if no class is left.
    """
    if dataset.labels is not None:
        kind, (numbers, counts) = "label", np.unique(dataset.labels[dataset.train_rows], return_counts=True)
    elif dataset.attributes is not None:
        kind, counts = "attribute", dataset.attributes[dataset.train_rows].sum(axis=0)
        numbers = np.arange(len(counts))
    else:
        raise UserError(f"{dataset.path} has no labels and no attributes: drop --per_class")
    frequent = np.argsort(-counts, kind="stable")[:MAX_CLASSES]
    chosen = np.sort(frequent[counts[frequent] >= MIN_IMAGES])
    if not len(chosen):
        raise UserError(
            f"{dataset.path} has no label or attribute with {MIN_IMAGES} training images, which --per_class needs"
        )
    return [_class(dataset, kind, number) for number in numbers[chosen].tolist()]


def contrasts(dataset: Dataset, flag: str) -> list[ImageClass]:
    """The classes that can be told from the other images: labels, then attributes.

    At least `MIN_IMAGES` training images, and at least `MIN_SHARE` of them, are in each class, and as many are not.
    Raises `UserError`, which names the flag, if there are none.
    """
    n = len(dataset.train_rows)
    classes = []
    if dataset.labels is not None:
        classes += [_class(dataset, "label", number) for number in np.unique(dataset.labels).tolist()]
    if dataset.attributes is not None:
        classes += [_class(dataset, "attribute", number) for number in range(len(dataset.attribute_names))]
    if not classes:
        raise UserError(f"{dataset.path} has no labels and no attributes: drop {flag}")
    least = max(MIN_IMAGES, MIN_SHARE * n)
    useful = [
        image_class for image_class in classes if least <= len(image_class.among(dataset.train_rows)) <= n - least
    ]
    if not useful:
        raise UserError(
            f"{flag}: every label and attribute of {dataset.path} is that of almost all training images or of almost "
            f"none; {math.ceil(least)} with it and as many without it are needed"
        )
    return useful


def contrast(dataset: Dataset, text: str, flag: str) -> ImageClass:
    """The class among `contrasts` that `text` names, see `find`. Raises `UserError`, which names the flag."""
    known, image_class = contrasts(dataset, flag), find(dataset, text, flag)
    if image_class.key in {other.key for other in known}:
        return image_class
    if text.startswith(ABSENT):
        raise UserError(f"{flag} {text}: name the attribute itself, negative strengths remove it")
    count, n = len(image_class.among(dataset.train_rows)), len(dataset.train_rows)
    raise UserError(
        f"{flag} {text}: {count} of {n} training images are of this class; {math.ceil(max(MIN_IMAGES, MIN_SHARE * n))} "
        "with it and as many without it are needed"
    )


def _class(dataset: Dataset, kind: str, number: int) -> ImageClass:
    if kind == "label":
        return ImageClass(label_name(number, dataset.label_names), f"label-{number}", dataset.labels == number)
    name, has = printable(dataset.attribute_names[number]), kind == "attribute"
    return ImageClass(name if has else f"not {name}", f"{kind}-{number}", dataset.attributes[:, number] == has)
