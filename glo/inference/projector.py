"""Files of TensorBoard's embedding projector: codes, a thumbnail of each image, and columns of text.

`tensorboard --logdir FOLDER` shows what `write` puts into a folder, beside the events in it.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from glo import pictures
from glo.data import ids
from glo.data.dataset import Dataset
from glo.data.names import label_name, printable
from glo.runtime import files, paths
from glo.runtime.errors import UserError

MAX_POINTS = 100_000  # more are not loaded by the projector
SPRITE_SIDE = 8192  # pixels: a larger sprite is not drawn
THUMBNAIL_SIDE = 64  # pixels, at most
MARK = "# Written by evaler.py --projector, which replaces it.\n"
UNKNOWN = "-"  # in columns; an empty field would not be counted by the projector
LABEL, KIND, ID = "label", "kind", "id"
RESERVED = ("__next__", "__seq_next__", "__proto__")  # columns that mean something else to the projector's page


@dataclass(frozen=True)
class Points:
    """Points of one kind.

    kind: such as `training`. codes: float32 [n, d]. images: uint8 [n, H, W, C].
    ids: n names. columns: further texts [n] by the name of the column; `UNKNOWN` for points of kinds without it.
    """

    kind: str
    codes: np.ndarray
    images: np.ndarray
    ids: list[str]
    columns: dict[str, list[str]]


def points(kind: str, dataset: Dataset, rows: np.ndarray, codes: np.ndarray) -> Points:
    """Points of images of a dataset: their rows in its file, int64 [n], and their codes float32 [n, d]."""
    listed = ids.read(dataset.path.with_name(paths.ID_FILE), len(dataset.images))
    names = [listed[row] if listed else str(row) for row in rows]
    return Points(kind, codes, dataset.images[rows], names, columns(dataset, rows))


def columns(dataset: Dataset, rows: np.ndarray) -> dict[str, list[str]]:
    """The labels and the attributes of the rows int64 [n] of a dataset as columns of text."""
    table = {}
    if dataset.labels is not None:
        table[LABEL] = [label_name(number, dataset.label_names) for number in dataset.labels[rows].tolist()]
    if dataset.attributes is not None:
        used = {LABEL, KIND, ID, *RESERVED}
        for name, values in zip(dataset.attribute_names, dataset.attributes[rows].T, strict=True):
            name = printable(name) or "attribute"
            while name in used:
                name += "_"
            used.add(name)
            table[name] = values.astype(str).tolist()
    return table


def require_free(folder: Path, force: bool) -> None:
    """Raise `UserError` if the folder holds files in the place of those of `write`, which `write` has not made."""
    config, data = paths.projector_config(folder), paths.projector_data(folder)
    try:
        own = config.read_text(encoding="utf-8", errors="replace").startswith(MARK)
    except OSError:  # there is none
        own = False
    existing = [path for path in (config, data) if path.exists()]
    if existing and not (own or force):
        raise UserError(
            f"{existing[0]} was not written by --projector: add --force to replace it, or choose --output_dir"
        )


def write(folder: Path, step: int, kinds: list[Points]) -> None:
    """Write points to a folder for the projector, in place of those that were written there before.

    step: of the codes, which the page shows. Raises `files.WriteError`, and `UserError` if the folder `projector` in it
    holds other files.
    """
    from google.protobuf import text_format
    from tensorboard.plugins import projector

    images = [image for points in kinds for image in points.images]
    side = thumbnail_side(len(images), kinds[0].images.shape[1:3])
    data = paths.projector_data(folder)
    with files.replacing_folder(data, marker=paths.PROJECTOR_CODES, force=True) as temporary:
        codes = np.concatenate([points.codes for points in kinds])
        np.savetxt(temporary / paths.PROJECTOR_CODES, codes, fmt="%.7g", delimiter="\t")
        (temporary / paths.PROJECTOR_METADATA).write_text(_table(kinds), encoding="utf-8")
        pictures.save(temporary / paths.PROJECTOR_SPRITE, sprite(images, side))
    config = projector.ProjectorConfig()
    embedding = config.embeddings.add()
    embedding.tensor_name, embedding.tensor_path = f"codes at step {step}", f"{data.name}/{paths.PROJECTOR_CODES}"
    embedding.metadata_path = f"{data.name}/{paths.PROJECTOR_METADATA}"
    embedding.sprite.image_path = f"{data.name}/{paths.PROJECTOR_SPRITE}"
    embedding.sprite.single_image_dim.extend([side, side])
    files.write_text(paths.projector_config(folder), MARK + text_format.MessageToString(config))


def thumbnail_side(n: int, size: tuple[int, int]) -> int:
    """The side in pixels of the thumbnails of n images of a size (H, W), so that the sprite can be drawn."""
    return min(THUMBNAIL_SIDE, max(size), SPRITE_SIDE // pictures.columns(n))


def sprite(images: list[np.ndarray], side: int) -> np.ndarray:
    """Thumbnails of images uint8 [H, W, C] row by row, uint8 [m * side, m * side, 3]; m is the root of n, rounded up.

    The projector computes the row of a thumbnail from the number of rows, so that the sprite must be square. Images
    that are not square get black margins, because the projector would stretch them.
    """
    across = pictures.columns(len(images))
    canvas = np.zeros((across * side, across * side, 3), np.uint8)
    for index, image in enumerate(images):
        top, left = index // across * side, index % across * side
        colour = Image.fromarray(np.broadcast_to(image, (*image.shape[:2], 3)))
        canvas[top : top + side, left : left + side] = ImageOps.pad(colour, (side, side))
    return canvas


def _table(kinds: list[Points]) -> str:
    """Tab-separated columns with a line of names. Names come with the data: `printable` leaves no tab or newline."""
    names = list(dict.fromkeys(name for points in kinds for name in points.columns))
    # The projector labels points by the first column of text: labels are put first.
    names = [LABEL] * (LABEL in names) + [KIND, ID] + [name for name in names if name != LABEL]
    lines = [names]
    for points in kinds:
        n = len(points.codes)
        known = {**points.columns, KIND: [points.kind] * n, ID: [printable(name) or UNKNOWN for name in points.ids]}
        lines += zip(*(known.get(name, [UNKNOWN] * n) for name in names), strict=True)
    return "".join("\t".join(line) + "\n" for line in lines)
