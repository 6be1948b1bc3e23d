"""Fashion-MNIST: grayscale images of clothes in ten classes (Zalando Research)."""

from collections.abc import Iterator
from pathlib import Path

from datasets import idx
from glo.data.block import Block

FILES = idx.files(
    folders=("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
    checksums=(
        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    ),
)


def blocks(paths: dict[str, Path]) -> Iterator[Block]:
    """60,000 training and 10,000 test images [n, 28, 28, 1], labels 0 (T-shirt) to 9 (ankle boot).

    Raises `UserError` for invalid files.
    """
    return idx.blocks(paths)
