"""MNIST: handwritten digits (LeCun, Cortes, Burges)."""

from collections.abc import Iterator
from pathlib import Path

from datasets import idx
from glo.data.block import Block

FILES = idx.files(
    folders=(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    checksums=(
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    ),
)


def blocks(paths: dict[str, Path]) -> Iterator[Block]:
    """60,000 training and 10,000 test images [n, 28, 28, 1], labels 0 to 9. Raises `UserError` for invalid files."""
    return idx.blocks(paths)
