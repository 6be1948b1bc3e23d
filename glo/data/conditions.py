"""Conditions: what a conditional generator is given besides the code, the label of an image or some of its attributes.

Labels become one-hot vectors of the classes among the training images, attributes vectors of 0 and 1.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from glo.data.block import Block
from glo.data.names import ABSENT, MAX_LISTED, label_name, printable
from glo.runtime.errors import UserError, did_you_mean

LABEL = "label"  # the value of --conditional that means labels; any other value lists attributes
UNKNOWN = -1  # in place of a class that no training image has: its vector is zero
MAX_CANDIDATES = 100  # combinations of attributes under which an image without a condition is fitted

Label = int | str | Sequence[int] | Sequence[str] | np.ndarray


@dataclass(frozen=True)
class Conditions:
    """The conditions of n images, which read as an array of vectors float32 [n, k]; k is 0 for unconditional models.

    names: of the k classes or attributes.
    numbers: of the k classes, the labels in the dataset, ascending; None if the condition consists of attributes.
    values: the class of each image, int32 [n], from 0 to k - 1 or `UNKNOWN`; or its attributes, uint8 [n, k].
    """

    names: tuple[str, ...]
    numbers: tuple[int, ...] | None
    values: np.ndarray

    def __len__(self) -> int:
        return len(self.values)

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.values), len(self.names)

    def __getitem__(self, rows: slice | np.ndarray) -> np.ndarray:
        """The vectors float32 [m, k] of a slice, or of row numbers int64 [m]."""
        values = self.values[rows]
        if self.numbers is None:
            return values.astype(np.float32)
        return (values[:, None] == np.arange(len(self.names))).astype(np.float32)

    def take(self, rows: np.ndarray) -> "Conditions":
        """The conditions of the images of some rows, int64 [m]."""
        return replace(self, values=self.values[rows])

    def fingerprint(self) -> str:
        """SHA-256 of the conditions of all images, in hexadecimal."""
        return hashlib.sha256(np.ascontiguousarray(self.values).astype("<i4").tobytes()).hexdigest()

    def of(self, label: Label | None, n: int) -> np.ndarray:
        """The vectors float32 [n, k] that a label means; None for an unconditional model.

        label: a class by its number or name, or a sequence of n of them. If the condition consists of attributes: the
        names of those that are present, separated by commas, or their 0 and 1, [k] or [n, k].
        Raises `ValueError` for an unknown class or attribute, for another number of labels, and without a label.
        """
        if not self.names and label is None:
            return np.empty((n, 0), np.float32)
        if not self.names:
            raise ValueError("this model is not conditional: leave label out")
        if label is None:
            raise ValueError(f"this model is conditional: give label, {', '.join(map(printable, self.names))}")
        if self.numbers is None:
            vectors = self._attributes(label)
        else:
            labels = [label] if isinstance(label, str) or np.ndim(label) == 0 else list(label)
            vectors = np.eye(len(self.names), dtype=np.float32)[[self._class(item) for item in labels]]
        if len(vectors) not in (1, n):
            raise ValueError(f"label must be one, or one for each of {n} images, not {len(vectors)}")
        return np.broadcast_to(vectors, (n, len(self.names)))

    def labels(self, vectors: np.ndarray) -> np.ndarray:
        """The labels int32 [n] of the largest coordinate of vectors float [n, k]; attributes are returned as [n, k]."""
        if self.numbers is None:
            return np.rint(vectors).astype(np.int32)
        return np.array(self.numbers, np.int32)[vectors.argmax(axis=1)]

    def candidates(self) -> np.ndarray:
        """The conditions under which an image without one is fitted, float32 [c, k].

        They are all classes, or the most frequent combinations of attributes among these images.
        """
        if self.numbers is not None:
            return np.eye(len(self.names), dtype=np.float32)
        combinations, counts = np.unique(self.values, axis=0, return_counts=True)
        return combinations[np.argsort(-counts, kind="stable")[:MAX_CANDIDATES]].astype(np.float32)

    def determine(self, members: np.ndarray) -> bool:
        """Whether the condition of an image tells if it is a member. members: bool [n]."""
        groups = self.groups()
        return bool(self.names) and not np.isin(groups[members], groups[~members]).any()

    def common(self) -> np.ndarray:
        """The most frequent condition among these images, float32 [k]."""
        _, first, counts = np.unique(self.values, axis=0, return_index=True, return_counts=True)
        return self[first[counts.argmax()][None]][0]

    def present(self, vector: np.ndarray) -> tuple[str, ...]:
        """The names of the class or the attributes that a vector float32 [k] stands for."""
        return tuple(name for name, value in zip(self.names, vector, strict=True) if value > 0.5)

    def variations(self, vectors: np.ndarray) -> tuple[tuple[str, ...], np.ndarray]:
        """All classes, or vectors float32 [n, k] with each attribute in turn absent, then present.

        Returns names of the m variations, and their vectors float32 [n, m, k].
        """
        if self.numbers is not None:
            return self.names, np.broadcast_to(self.candidates(), (len(vectors), *[len(self.names)] * 2))
        varied = np.repeat(vectors[:, None], 2 * len(self.names), axis=1)
        for column in range(len(self.names)):
            varied[:, 2 * column, column], varied[:, 2 * column + 1, column] = 0, 1
        return tuple(name for attribute in self.names for name in (ABSENT + attribute, attribute)), varied

    def analogous(self, vectors: np.ndarray) -> np.ndarray:
        """The condition float32 [k] of D in the analogy A : B :: C : D. vectors: those of A, B and C, float32 [3, k].

        It is C + B - A, clipped to [0, 1]; if all three have different classes, it is halfway between those of B and C.
        """
        a, b, c = vectors
        mixed = np.clip(c + b - a, 0, 1)
        return mixed if self.numbers is None else mixed / mixed.sum()

    def groups(self) -> np.ndarray:
        """The number of the condition of each image among the different ones, int64 [n]."""
        return np.unique(self.values, axis=0, return_inverse=True)[1].reshape(-1)

    def _class(self, label: int | str) -> int:
        """The position of a class. Raises `ValueError` if there is none of that number or name."""
        if isinstance(label, str):
            known = {str(number): index for index, number in enumerate(self.numbers)}
            known |= {name: index for index, name in enumerate(self.names)}  # a name comes before a number
        else:
            known, label = {number: index for index, number in enumerate(self.numbers)}, int(label)
        if label not in known:
            listed = ", ".join(map(printable, self.names[:MAX_LISTED]))
            raise ValueError(f"label {label} is not a class of this model, which knows {listed}")
        return known[label]

    def _attributes(self, label: Label) -> np.ndarray:
        if isinstance(label, str):
            present = [name for name in label.split(",") if name]
            for name in present:
                if name not in self.names:
                    raise ValueError(f"attribute {name} is not part of the condition{did_you_mean(name, self.names)}")
            return np.array([[name in present for name in self.names]], np.float32)
        vectors = np.atleast_2d(np.asarray(label, np.float32))
        if vectors.ndim != 2 or vectors.shape[1] != len(self.names) or not np.isin(vectors, (0, 1)).all():
            raise ValueError(f"label must be 0 or 1 for each of {', '.join(map(printable, self.names))}")
        return vectors


def unconditional(n: int) -> Conditions:
    """The conditions of n images for a generator without a condition: vectors of no coordinates."""
    return Conditions((), None, np.empty((n, 0), np.uint8))


def blank(names: Sequence[str], numbers: Sequence[int] | None, n: int) -> Conditions:
    """Conditions of n images whose values a checkpoint will give."""
    shape, dtype = ((n, len(names)), np.uint8) if numbers is None else ((n,), np.int32)
    return Conditions(tuple(names), None if numbers is None else tuple(numbers), np.zeros(shape, dtype))


def of_labels(labels: np.ndarray, names: tuple[str, ...], train_rows: np.ndarray) -> Conditions:
    """Conditions of labels int32 [N] with the names of label 0, 1, ...; the classes are those of the training rows.

    Raises `ValueError` if there are fewer than two.
    """
    numbers = np.unique(labels[train_rows])
    if len(numbers) < 2:
        raise ValueError(f"all training images have the label {label_name(int(numbers[0]), names)}")
    positions = np.minimum(np.searchsorted(numbers, labels), len(numbers) - 1)
    values = np.where(numbers[positions] == labels, positions, UNKNOWN).astype(np.int32)
    named = tuple(names[number] if 0 <= number < len(names) else str(number) for number in numbers.tolist())
    return Conditions(named, tuple(numbers.tolist()), values)


def of_attributes(
    attributes: np.ndarray, names: tuple[str, ...], train_rows: np.ndarray, chosen: list[str]
) -> Conditions:
    """Conditions of the chosen attributes. attributes: int8 [N, A], 0 or 1. names: of the A columns.

    Raises `ValueError` for an attribute that is unknown, named twice, or the same in all training images.
    """
    for name in chosen:
        if name not in names:
            raise ValueError(f"there is no attribute {name}{did_you_mean(name, map(printable, names))}")
        if chosen.count(name) > 1:
            raise ValueError(f"the attribute {name} is named twice")
    columns = [names.index(name) for name in chosen]
    values = attributes[:, columns].astype(np.uint8)
    for name, column in zip(chosen, values[train_rows].T, strict=True):
        if (column == column[0]).all():
            raise ValueError(f"all training images {'have' if column[0] else 'lack'} the attribute {name}")
    return Conditions(tuple(chosen), None, values)


def of_block(
    conditional: str | None,
    path: Path,
    block: Block,
    label_names: tuple[str, ...],
    attribute_names: tuple[str, ...],
    train_rows: np.ndarray,
) -> Conditions:
    """The conditions of all images of the dataset file `path`, as the setting `conditional` names them.

    Raises `UserError` if the dataset does not have them.
    """
    if conditional is None:
        return unconditional(len(block.images))
    try:
        if conditional == LABEL:
            if block.labels is None:
                hint = "name some of its attributes" if attribute_names else "drop --conditional, or add labels"
                raise ValueError(f"{path} has no labels: {hint}")
            return of_labels(block.labels, label_names, train_rows)
        if block.attributes is None:
            hint = "drop --conditional" if block.labels is None else "give --conditional label"
            raise ValueError(f"{path} has no attributes: {hint}")
        return of_attributes(block.attributes, attribute_names, train_rows, conditional.split(","))
    except ValueError as error:
        raise UserError(f"--conditional {printable(conditional)}: {error}") from None
