"""KMNIST: cursive Japanese characters in ten classes (CODH). Downloads from its host often fail."""

from collections.abc import Iterator
from pathlib import Path

from datasets import idx
from glo.data.block import Block

FILES = idx.files(
    folders=("http://codh.rois.ac.jp/kmnist/dataset/kmnist/",),
    checksums=(
        "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
        "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
        "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
        "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
    ),
)


def blocks(paths: dict[str, Path]) -> Iterator[Block]:
    """60,000 training and 10,000 test images [n, 28, 28, 1], labels 0 to 9. Raises `UserError` for invalid files."""
    return idx.blocks(paths)
