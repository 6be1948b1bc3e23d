"""Selection of the samples that a dataset is built from: by label, and at most a given number from each split."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from glo.data.block import Block
from glo.data.randomness import Stream, random_generator
from glo.runtime.errors import UserError, did_you_mean, shortened


def parse_labels(text: str, names: Sequence[str] = ()) -> set[int]:
    """Parse a list of labels such as `3,5` or `cats,dogs`. Label k is called `names[k]`; names win over numbers.

    Raises `UserError` for a word that is neither a name nor a number, and for a number that has no name if there are
    names.
    """
    labels = set()
    for word in (part.strip() for part in text.split(",")):
        if word in names:
            labels.add(names.index(word))
        elif re.fullmatch("[0-9]{1,9}", word) and (not names or int(word) < len(names)):
            labels.add(int(word))
        else:
            known = f"the labels are {', '.join(names)}" if names else "here labels are numbers, such as 3,5"
            hint = did_you_mean(word, names)
            raise UserError(f"--labels {shortened(text)}: no label '{shortened(word)}'{hint}; {shortened(known)}")
    return labels


def choose(groups: np.ndarray, max_samples: int | None, seed: int) -> np.ndarray:
    """A seeded random choice of at most `max_samples` rows of each group. Returns row numbers int64, ascending.

    groups: integers [n], the group of each row, such as its split. max_samples: None chooses all rows.
    """
    if max_samples is None or not len(groups):
        return np.arange(len(groups))
    random = random_generator(seed, Stream.SELECTED_SAMPLES)
    chosen = [random.permutation(np.flatnonzero(groups == group))[:max_samples] for group in np.unique(groups)]
    return np.sort(np.concatenate(chosen))


def select(
    blocks: Callable[[], Iterable[Block]], labels: str | None, max_samples: int | None, seed: int
) -> Iterator[Block]:
    """The samples that have one of `labels`, and of these a seeded random choice of `max_samples` from each split.

    blocks: a function that returns the blocks of the source, from the first one. With `max_samples` it is called twice,
        because a random choice needs the number of samples.
    labels: as `parse_labels` accepts them; None selects all. max_samples: None selects all.
    Raises `UserError` for blocks without labels, and after the last block for a label that no image has.
    """
    wanted = None if labels is None else parse_labels(labels)
    missing = set(wanted or ())
    chosen, seen = None, 0  # chosen: bool, over the samples with a wanted label; seen: how many of them came so far
    if max_samples is not None:
        splits = [_split(block)[_has_label(block, wanted)] for block in blocks()]
        chosen = np.zeros(sum(map(len, splits)), bool)
        chosen[choose(np.concatenate([np.empty(0, np.uint8), *splits]), max_samples, seed)] = True
    for block in blocks():
        rows = np.flatnonzero(_has_label(block, wanted))
        if wanted is not None:
            missing -= set(block.labels[rows].tolist())
        if chosen is not None:
            count = len(rows)
            rows, seen = rows[chosen[seen : seen + count]], seen + count
        if len(rows):
            yield block if len(rows) == len(block.images) else _rows(block, rows)
    if missing:
        raise UserError(f"--labels {labels}: no image has label {min(missing)}")


def _has_label(block: Block, wanted: set[int] | None) -> np.ndarray:
    """Which samples have a wanted label, bool [n]; all of them if `wanted` is None."""
    if wanted is None:
        return np.ones(len(block.images), bool)
    if block.labels is None:
        raise UserError("--labels: these images have no labels; drop it")
    return np.isin(block.labels, list(wanted))


def _split(block: Block) -> np.ndarray:
    return np.zeros(len(block.images), np.uint8) if block.split is None else block.split


def _rows(block: Block, rows: np.ndarray) -> Block:
    """A block of the given rows, with every field."""

    def rows_of(values: np.ndarray | None) -> np.ndarray | None:
        return None if values is None else values[rows]

    ids = None if block.ids is None else [block.ids[row] for row in rows]
    return Block(
        block.images[rows],
        rows_of(block.split),
        rows_of(block.labels),
        ids,
        rows_of(block.codes),
        rows_of(block.attributes),
        block.items_consumed,
    )
