"""One picture file -> pixels, whatever its format, colour mode, orientation and size."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from glo.errors import UserError

# Only formats that Pillow decodes itself: EPS, for one, would start another program. JPEG includes MPO.
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM")
SUFFIXES = {".jpg", ".jpeg", ".jfif", ".mpo", ".png", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".pbm"}
MAX_SIDE = 20_000  # pixels
MAX_PIXELS = Image.MAX_IMAGE_PIXELS or 89_478_485
GREY_MODES = {"1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "I;16N"}
ORIENTATION, QUARTER_TURNS = 0x0112, {5, 6, 7, 8}  # the EXIF tag, and its values that swap height and width
REDUCE = 3  # a JPEG may be decoded smaller if this many times the wanted size is left: then nobody sees it


class PictureError(Exception):
    """A picture that cannot be used; its text is the reason."""


def open_picture(path: Path) -> Image.Image:
    """Read the header. Raises `PictureError` if it is no picture, or a larger one than `MAX_SIDE` and `MAX_PIXELS`."""
    try:
        if path.stat().st_size == 0:
            raise PictureError("empty file")
        image = Image.open(path, formats=FORMATS)
    except UnidentifiedImageError:
        raise PictureError("not a picture that can be read here") from None
    except Image.DecompressionBombError:
        raise PictureError(f"more than {MAX_PIXELS:,} pixels") from None
    except PictureError:
        raise
    except Exception as error:  # decoders raise whatever the damaged bytes lead them to
        raise PictureError(_reason(error)) from error
    if max(image.size) > MAX_SIDE or image.width * image.height > MAX_PIXELS:
        image.close()
        raise PictureError(
            f"{image.width} x {image.height} pixels; at most {MAX_SIDE:,} a side and {MAX_PIXELS:,} in all are read"
        )
    return image


def header(path: Path, oriented: bool = True) -> tuple[tuple[int, int], bool]:
    """(height, width) as the picture is meant to be looked at, and whether it is grey, without decoding the pixels.

    `oriented=False` leaves the EXIF orientation out, for which a PNG has to be read whole. Raises `PictureError`.
    """
    with open_picture(path) as image:
        try:
            # Pillow turns a TIFF itself, and gives its final size.
            turned = oriented and image.format != "TIFF" and image.getexif().get(ORIENTATION) in QUARTER_TURNS
        except Exception as error:  # as above, of damaged EXIF data
            raise PictureError(_reason(error)) from error
        width, height = image.size
        return (width, height) if turned else (height, width), image.mode in GREY_MODES


def decode(
    path: Path, size: tuple[int, int] | None, channels: int, resample: Image.Resampling = Image.Resampling.LANCZOS
) -> np.ndarray:
    """The pixels, uint8 [height, width, channels], of the first frame.

    EXIF orientation is applied, transparency laid over white, 16 bits become 8; `channels` is 1 (grey) or 3 (RGB).
    `size` (height, width): the largest centred part of that aspect is resized to it. Raises `PictureError`.
    """
    with open_picture(path) as image:
        try:
            if size is not None:
                wanted = REDUCE * max(size)
                image.draft(None, (wanted, wanted))  # JPEG only: both sides stay at least this large
            upright = ImageOps.exif_transpose(image)
            flat = _opaque(upright).convert("L" if channels == 1 else "RGB")
            if size is not None:
                flat = ImageOps.fit(flat, (size[1], size[0]), resample)
            return np.asarray(flat).reshape(flat.height, flat.width, channels)
        except PictureError:
            raise
        except Exception as error:  # as above, of damaged pixels
            raise PictureError(_reason(error)) from error


def read_hole(path: Path, size: tuple[int, int]) -> np.ndarray:
    """Where a picture is white (at least half), bool [height, width, 1]: cropped as in `decode`, nearest pixels.

    Raises `UserError` if it cannot be read, or is white everywhere or nowhere.
    """
    try:
        white = decode(path, size, 1, Image.Resampling.NEAREST) >= 128
    except PictureError as error:
        raise UserError(f"cannot read the mask {path}: {error}") from None
    if white.all() or not white.any():
        raise UserError(
            f"the mask {path} is white {'everywhere' if white.all() else 'nowhere'} at {size[1]} x {size[0]} pixels: "
            "make white what is to be filled, and all else black"
        )
    return white


def _opaque(image: Image.Image) -> Image.Image:
    """The same picture in 8 bits without transparency, in a mode that `convert` takes to L and RGB."""
    if image.mode == "F":
        raise PictureError("floating-point pixels of unknown range; convert it to 8 or 16 bits")
    if image.mode.startswith("I"):
        # Pillow would clip at 255 instead of scaling.
        values = np.asarray(image).astype(np.int64)
        if values.min() < 0 or values.max() > 65535:
            raise PictureError("32-bit pixels of unknown range; convert it to 8 or 16 bits")
        return Image.fromarray(((values * 255 + 32767) // 65535).astype(np.uint8))
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    return image


def _reason(error: Exception) -> str:
    """An error in one line without the path, which the caller names."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split())[:200] or type(error).__name__
