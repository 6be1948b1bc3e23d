"""Which samples of a source a dataset is built from: those with some labels, and at most so many of each split."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from glo.data.block import Block
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
    if most is None:
        return np.arange(len(groups))
    random = np.random.default_rng([seed, 12])
    chosen = [random.permutation(np.flatnonzero(groups == group))[:most] for group in np.unique(groups)]
    return np.sort(np.concatenate(chosen))


def select(blocks: Iterable[Block], labels: str | None, most: int | None) -> Iterator[Block]:
    """The samples with one of `labels`, as `parse_labels` reads them, and of those the first `most` of each split.

    None takes all. Raises `UserError` for blocks without labels, and at the end for a label that nobody has.
    """
    wanted = None if labels is None else parse_labels(labels)
    missing, taken = set(wanted or ()), np.zeros(256, np.int64)  # taken: by split
    for block in blocks:
        keep = np.ones(len(block.images), bool)
        if wanted is not None:
            if block.labels is None:
                raise UserError(f"--labels {labels}: these images have no labels; drop it")
            keep = np.isin(block.labels, list(wanted))
            missing -= set(block.labels[keep].tolist())
        if most is not None:
            split = np.zeros(len(keep), np.uint8) if block.split is None else block.split
            for group in np.unique(split):
                rows = np.flatnonzero(keep & (split == group))
                keep[rows[most - min(taken[group], most) :]] = False
                taken[group] += len(rows)
        if keep.any():
            yield block if keep.all() else _rows(block, np.flatnonzero(keep))
    if missing:
        raise UserError(f"--labels {labels}: no image has label {min(missing)}")


def _rows(block: Block, rows: np.ndarray) -> Block:
    """The given rows of a block, in every field."""

    def of(values: np.ndarray | None) -> np.ndarray | None:
        return None if values is None else values[rows]

    ids = None if block.ids is None else [block.ids[row] for row in rows]
    return Block(
        block.images[rows], of(block.split), of(block.labels), ids, of(block.codes), of(block.attributes), block.taken
    )
