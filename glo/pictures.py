"""Pictures for people: captioned grids, animations, and the loss curve."""

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import imageio.v3 as imageio
import numpy as np
from PIL import Image, ImageDraw, ImageFont, PngImagePlugin

from glo.runtime import files

T = TypeVar("T")
MARGIN = 2  # pixels between images
SIDE = 56  # small images are enlarged by whole factors until the longer side has about this many pixels
CAPTION = 22  # height of a caption in pixels
GIF_FRAMES = 40  # at most
GIF_WIDTH = 480  # pixels; wider frames are shrunk, since colour GIFs would take tens of megabytes
GIF_SECONDS = 8  # at most
SOFTWARE = "GLO toolkit"  # written into PNG files
PAPER, INK = 255, 40  # grey levels of the background and of text


class UnreadableError(Exception):
    """A file does not hold a whole picture."""


def columns(n: int) -> int:
    """Number of columns of an approximately square grid of n images."""
    return math.ceil(math.sqrt(n))


def grid(images: np.ndarray, columns: int) -> np.ndarray:
    """Arrange images uint8 [n, H, W, C], C 1 or 3, row by row; small ones are enlarged (bicubic). Returns [h, w, 3]."""
    n, height, width = images.shape[:3]
    scale = max(1, round(SIDE / max(height, width)))
    height, width = height * scale, width * scale
    rows = math.ceil(n / columns)
    canvas = np.full((MARGIN + rows * (height + MARGIN), MARGIN + columns * (width + MARGIN), 3), PAPER, np.uint8)
    for index, image in enumerate(images):
        top, left = MARGIN + index // columns * (height + MARGIN), MARGIN + index % columns * (width + MARGIN)
        colour = Image.fromarray(np.broadcast_to(image, (*image.shape[:2], 3)))
        canvas[top : top + height, left : left + width] = colour.resize((width, height), Image.Resampling.BICUBIC)
    return canvas


def panel(caption: str, images: np.ndarray) -> np.ndarray:
    """A captioned grid of images uint8 [n, H, W, C] with at most eight columns, uint8 [h, w, 3]."""
    return captioned(caption, grid(images, min(len(images), 8)))


def captioned(caption: str, picture: np.ndarray) -> np.ndarray:
    """Add a line of text above a picture uint8 [h, w, 3]; the picture is widened if the text is longer."""
    font = ImageFont.load_default(14)
    width = max(picture.shape[1], math.ceil(font.getlength(caption)) + 2 * MARGIN)
    canvas = Image.new("RGB", (width, picture.shape[0] + CAPTION), (PAPER,) * 3)
    ImageDraw.Draw(canvas).text((MARGIN + 1, 3), caption, (INK,) * 3, font)
    canvas.paste(Image.fromarray(picture), (0, CAPTION))
    return np.asarray(canvas)


def beside(*pictures: np.ndarray) -> np.ndarray:
    """Join pictures uint8 [h, w, 3] from left to right with a gap between them."""
    return _join(pictures, axis=1)


def below(*pictures: np.ndarray) -> np.ndarray:
    """Join pictures uint8 [h, w, 3] from top to bottom with a gap between them."""
    return _join(pictures, axis=0)


def save(path: Path, picture: np.ndarray) -> None:
    """Write a picture uint8 [h, w, 3] in the format of the suffix. Raises `files.WriteError`."""
    # One channel for grey pictures, and a low compression level: the files are as large but take a third of the time.
    grey = (picture == picture[..., :1]).all()
    options = {}
    if path.suffix == ".png":
        options = {"compress_level": 3, "pnginfo": PngImagePlugin.PngInfo()}
        options["pnginfo"].add_text("Software", SOFTWARE)
    encoded = imageio.imwrite("<bytes>", picture[..., 0] if grey else picture, extension=path.suffix, **options)
    _write(path, encoded)


def is_saved(path: Path) -> bool:
    """Whether a file is a PNG that `save` has written."""
    try:
        if not path.is_file():
            return False
        with Image.open(path) as picture:
            return picture.info.get("Software") == SOFTWARE
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return False


def read(path: Path) -> np.ndarray:
    """Read a picture that `save` wrote, uint8 [h, w, 3]. Raises `UnreadableError`."""
    try:
        if not path.is_file():  # reading a named pipe would wait for ever
            raise UnreadableError
        with Image.open(path, formats=["PNG"]) as image:
            return np.asarray(image.convert("RGB"))
    except Exception as error:  # decoders raise whatever the damaged bytes lead them to
        raise UnreadableError from error


def evenly(frames: Sequence[T]) -> list[T]:
    """Choose at most `GIF_FRAMES` evenly spaced frames, including the first and the last one."""
    indices = sorted({round(i) for i in np.linspace(0, len(frames) - 1, min(len(frames), GIF_FRAMES))})
    return [frames[i] for i in indices]


def save_gif(path: Path, frames: Sequence[np.ndarray]) -> None:
    """Write an endless animation of pictures uint8 [h, w, 3]. Smaller ones are padded. Raises `files.WriteError`."""
    milliseconds = min(500, 1000 * GIF_SECONDS // len(frames))
    height, width = (max(frame.shape[axis] for frame in frames) for axis in (0, 1))
    frames = [_pad(frame, height, width) for frame in frames]
    if all((frame == frame[..., :1]).all() for frame in frames):
        frames = [frame[..., 0] for frame in frames]
    if width > GIF_WIDTH:
        size = GIF_WIDTH, round(height * GIF_WIDTH / width)
        frames = [np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.LANCZOS)) for frame in frames]
    _write(path, imageio.imwrite("<bytes>", list(frames), extension=".gif", duration=milliseconds, loop=0))


def save_loss(path: Path, records: Sequence[dict]) -> None:
    """Plot the training loss against the steps, and the PSNR if it was recorded. Raises `files.WriteError`.

    records: the objects of metrics.jsonl.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    losses = [(r["step"], r["loss"]) for r in records if "loss" in r]
    axes.plot(*zip(*losses, strict=True), color="tab:blue", linewidth=1)
    axes.set(xlabel="step", yscale="log")
    axes.set_ylabel("training loss", color="tab:blue")
    axes.grid(alpha=0.3, which="both")
    psnrs = [(r["step"], r["train_psnr"]) for r in records if "train_psnr" in r]
    if psnrs:
        right = axes.twinx()
        right.plot(*zip(*psnrs, strict=True), color="tab:orange", linewidth=1)
        right.set_ylabel("PSNR of the 64 images of the grid [dB]", color="tab:orange")
    encoded = io.BytesIO()
    figure.savefig(encoded, dpi=120)
    _write(path, encoded.getvalue())


def _write(path: Path, encoded: bytes) -> None:
    # Pictures are encoded in memory first: with a full disk, encoders raise errors that cannot be caught reliably.
    with files.replacing(path) as temporary:
        temporary.write_bytes(encoded)


def _join(pictures: Sequence[np.ndarray], axis: int) -> np.ndarray:
    other = 1 - axis
    length = max(picture.shape[other] for picture in pictures)
    padded = []
    for picture in pictures:
        size = [0, 0]
        size[axis] = picture.shape[axis] + (8 if picture is not pictures[-1] else 0)
        size[other] = length
        padded.append(_pad(picture, *size))
    return np.concatenate(padded, axis)


def _pad(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """Widen a picture uint8 [h, w, 3] to the right and below."""
    widths = [(0, height - picture.shape[0]), (0, width - picture.shape[1]), (0, 0)]
    return np.pad(picture, widths, constant_values=PAPER)
