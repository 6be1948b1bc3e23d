"""Decode a picture, given as a file or as bytes, in any common format, colour mode, orientation and size."""

import io
import logging
import threading
import warnings
from contextlib import nullcontext
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from glo.runtime import files
from glo.runtime.errors import UserError

# Only formats that Pillow decodes itself; for EPS it would start another program. JPEG includes MPO.
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM")
SUFFIXES = {".jpg", ".jpeg", ".jfif", ".mpo", ".png", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".pbm"}
MIN_SIDE, MAX_SIDE = 2, 20_000  # pixels
MAX_PIXELS = Image.MAX_IMAGE_PIXELS or 89_478_485
MAX_BYTES = 256 << 20  # of a file
AT_ONCE = 1 << 17  # bytes; files up to this size are read at once, because Pillow reads in many small pieces
GREY_MODES = {"1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "I;16N"}
ORIENTATION, QUARTER_TURNS = 0x0112, {5, 6, 7, 8}  # the EXIF tag, and its values that swap height and width
REDUCE = 4  # a JPEG may be decoded at a reduced size of at least this many times the target size, without visible loss
LARGE = 1 << 23  # pixels; larger pictures take hundreds of megabytes each, so that only one is decoded at a time
_one_large = threading.Lock()

# Pillow warns about pictures that are too large or damaged. Here they are refused, or read as far as they are whole.
warnings.filterwarnings("ignore", module=r"PIL\.")
logging.getLogger("PIL").setLevel(logging.CRITICAL)


class PictureError(Exception):
    """A picture cannot be used. The text is the reason, without the name of the picture."""


def open_picture(source: Path | bytes) -> Image.Image:
    """Open a picture and read its header. Pixels are decoded later.

    source: a path, or the content of the file.
    Raises `PictureError` if it is not a regular file, not a picture in one of `FORMATS`, or if its size is outside the
    limits above.
    """
    try:
        length = len(source) if isinstance(source, bytes) else files.regular_size(source)
        if length == 0:
            raise PictureError("empty file")
        if length > MAX_BYTES:
            raise PictureError(f"{length:,} bytes; at most {MAX_BYTES:,} are read")
        if isinstance(source, Path) and length <= AT_ONCE:
            source = source.read_bytes()
        image = Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=FORMATS)
    except UnidentifiedImageError:
        raise PictureError("not a picture that can be read here") from None
    except Image.DecompressionBombError:
        raise PictureError(f"more than {MAX_PIXELS:,} pixels") from None
    except PictureError:
        raise
    except Exception as error:  # decoders raise whatever the damaged bytes lead them to
        raise PictureError(one_line(error)) from error
    if min(image.size) < MIN_SIDE or max(image.size) > MAX_SIDE or image.width * image.height > MAX_PIXELS:
        image.close()
        raise PictureError(
            f"{image.width} x {image.height} pixels; at least {MIN_SIDE} and at most {MAX_SIDE:,} a side, "
            f"and at most {MAX_PIXELS:,} in all, are read"
        )
    return image


def header(source: Path | bytes, oriented: bool = True) -> tuple[tuple[int, int], bool]:
    """The (height, width) of a picture and whether it is grey, without decoding the pixels.

    oriented: whether to apply the EXIF orientation, for which a PNG has to be read completely.
    Raises `PictureError` if the picture cannot be read.
    """
    with open_picture(source) as image:
        try:
            # Pillow rotates a TIFF itself, and reports its final size.
            rotated = oriented and image.format != "TIFF" and image.getexif().get(ORIENTATION) in QUARTER_TURNS
        except Exception as error:  # Pillow raises many kinds of exceptions for damaged EXIF data
            raise PictureError(one_line(error)) from error
        width, height = image.size
        return (width, height) if rotated else (height, width), image.mode in GREY_MODES


def decode(
    source: Path | bytes,
    size: tuple[int, int] | None,
    channels: int,
    resample: Image.Resampling = Image.Resampling.LANCZOS,
    crop: int | None = None,
) -> np.ndarray:
    """Decode the first frame of a picture to uint8 [height, width, channels].

    The EXIF orientation is applied, transparent pixels are blended with white, and 16 bits are reduced to 8.
    size: (height, width); the largest centred part of this aspect ratio is resized to it. None keeps all pixels.
    channels: 1 (grey) or 3 (RGB). resample: the filter for resizing.
    crop: with `size`, the picture is first cropped to its central square of this side, in pixels; None: no crop.
    Raises `PictureError` if the picture cannot be read.
    """
    with open_picture(source) as image:
        try:
            width = image.width
            if size is not None:
                # Has an effect on JPEG only. Both sides of the cropped picture keep at least this many pixels.
                min_side = REDUCE * max(size)
                image.draft(None, tuple(min_side * side // min(side, crop or side) for side in image.size))
            crop = crop and crop * image.width / width
            with _one_large if image.width * image.height > LARGE else nullcontext():
                ImageOps.exif_transpose(image, in_place=True)
                flat = _opaque(image)
                if flat.mode not in ("L", "RGB"):
                    flat = flat.convert("L" if channels == 1 else "RGB")
                if size is not None:
                    flat = flat.resize((size[1], size[0]), resample, _centre(flat.size, size, crop))
                flat = flat.convert("L" if channels == 1 else "RGB")
                return np.asarray(flat).reshape(flat.height, flat.width, channels)
        except PictureError:
            raise
        except Exception as error:  # Pillow raises many kinds of exceptions for damaged pixels
            raise PictureError(one_line(error)) from error


def _centre(whole: tuple[int, int], size: tuple[int, int], crop: float | None) -> tuple[float, float, float, float]:
    """The largest centred box with the aspect ratio of `size` (height, width) in a picture of size (width, height).

    No side is longer than `crop`. Returns left, top, right and bottom in pixels.
    """
    longest = crop or max(whole)
    scale = min(min(whole[0], longest) / size[1], min(whole[1], longest) / size[0])
    width, height = min(whole[0], scale * size[1]), min(whole[1], scale * size[0])  # not outside, by rounding
    left, top = (whole[0] - width) / 2, (whole[1] - height) / 2
    return left, top, left + width, top + height


def read_hole(path: Path, size: tuple[int, int]) -> np.ndarray:
    """Read the hole of a mask, bool [height, width, 1]: True where the picture is white (a value of at least 128).

    size: (height, width), to which the picture is cropped and resized as in `decode`, with nearest pixels.
    Raises `UserError` if the picture cannot be read, or if it is white everywhere or nowhere.
    """
    try:
        white = decode(path, size, 1, Image.Resampling.NEAREST) >= 128
    except PictureError as error:
        raise UserError(f"cannot read the mask {path}: {error}") from None
    if white.all() or not white.any():
        raise UserError(
            f"the mask {path} is white {'everywhere' if white.all() else 'nowhere'} at {size[1]} x {size[0]} pixels: "
            "paint the pixels to be filled white and all others black"
        )
    return white


def _opaque(image: Image.Image) -> Image.Image:
    """The picture with 8 bits per channel and without transparency, in a mode that can be converted to L and RGB."""
    if image.mode == "F":
        raise PictureError("floating-point pixels of unknown range; convert it to 8 or 16 bits")
    if image.mode.startswith("I"):
        # Pillow would clip at 255 instead of scaling.
        values = np.asarray(image).astype(np.int64)
        if values.min() < 0 or values.max() > 65535:
            raise PictureError("32-bit pixels of unknown range; convert it to 8 or 16 bits")
        return Image.fromarray(((values * 255 + 32767) // 65535).astype(np.uint8))
    if image.has_transparency_data:
        layer = image if image.mode == "RGBA" else image.convert("RGBA")
        background = Image.new("RGB", layer.size, "white")
        background.paste(layer, mask=layer)
        return background
    return image


def one_line(error: Exception) -> str:
    """The text of an exception in one line of at most 200 characters, without the path, which the caller adds."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split())[:200] or type(error).__name__
