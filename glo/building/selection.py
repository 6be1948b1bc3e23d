"""Which samples of a source a dataset is built from: those with some labels, and at most so many of each split."""

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from glo.data.block import Block
from glo.data.randomness import Stream, random_generator
from glo.runtime.errors import UserError, did_you_mean


def parse_labels(text: str, names: Sequence[str] = ()) -> set[int]:
    """The labels in a text such as `3,5` or `cats,dogs`; label k is called `names[k]`, and a name goes before a number.

    Raises `UserError` for a word that is neither, and for a number that has no name where there are names.
    """
    found = set()
    for word in (part.strip() for part in text.split(",")):
        if word in names:
            found.add(names.index(word))
        elif word.isascii() and word.isdecimal() and (not names or int(word) < len(names)):
            found.add(int(word))
        else:
            there = f"there are {', '.join(names)}" if names else "labels are numbers such as 3,5 here"
            raise UserError(f"--labels {text}: no label '{word}'{did_you_mean(word, names)}; {there}")
    return found


def choose(groups: np.ndarray, most: int | None, seed: int) -> np.ndarray:
    """Rows int64, ascending: a seeded `most` of those in each group, such as the split; None takes all. groups: [n]."""
    if most is None or not len(groups):
        return np.arange(len(groups))
    random = random_generator(seed, Stream.SELECTED_SAMPLES)
    chosen = [random.permutation(np.flatnonzero(groups == group))[:most] for group in np.unique(groups)]
    return np.sort(np.concatenate(chosen))


def select(blocks: Callable[[], Iterable[Block]], labels: str | None, most: int | None, seed: int) -> Iterator[Block]:
    """The samples with one of `labels`, as `parse_labels` reads them, and of those a seeded `most` of each split.

    blocks: gives the blocks of the source from the first on. With `most` it is called twice, since samples can only be
    chosen at random when all are known. labels, most: None takes all.
    Raises `UserError` for blocks without labels, and at the end for a label that no image has.
    """
    wanted = None if labels is None else parse_labels(labels)
    chosen, seen, missing = None, 0, set(wanted or ())
    if most is not None:
        splits = [_split(block)[_labelled(block, wanted)] for block in blocks()]
        chosen = np.zeros(sum(map(len, splits)), bool)
        chosen[choose(np.concatenate([np.empty(0, np.uint8), *splits]), most, seed)] = True
    for block in blocks():
        rows = np.flatnonzero(_labelled(block, wanted))
        if wanted is not None:
            missing -= set(block.labels[rows].tolist())
        if chosen is not None:
            count = len(rows)
            rows, seen = rows[chosen[seen : seen + count]], seen + count
        if len(rows):
            yield block if len(rows) == len(block.images) else _rows(block, rows)
    if missing:
        raise UserError(f"--labels {labels}: no image has label {min(missing)}")


def _labelled(block: Block, wanted: set[int] | None) -> np.ndarray:
    """bool [n], which samples have a wanted label."""
    if wanted is None:
        return np.ones(len(block.images), bool)
    if block.labels is None:
        raise UserError("--labels: these images have no labels; drop it")
    return np.isin(block.labels, list(wanted))


def _split(block: Block) -> np.ndarray:
    return np.zeros(len(block.images), np.uint8) if block.split is None else block.split


def _rows(block: Block, rows: np.ndarray) -> Block:
    """The given rows of a block, in every field."""

    def of(values: np.ndarray | None) -> np.ndarray | None:
        return None if values is None else values[rows]

    ids = None if block.ids is None else [block.ids[row] for row in rows]
    return Block(
        block.images[rows], of(block.split), of(block.labels), ids, of(block.codes), of(block.attributes), block.taken
    )
