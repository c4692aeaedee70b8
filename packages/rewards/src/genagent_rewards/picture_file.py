"""Files of pictures: one of a few formats, of bounded size, decoded whole or named in one line."""

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from PIL import Image

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
"""That are decoded at all. Left to itself Pillow tries forty, and one of them, EPS, starts another
program."""
MAX_PIXELS = 89_478_485
"""Pillow's own limit (``PIL.Image.MAX_IMAGE_PIXELS``): a quarter of a GiB in RGB."""

BROKEN = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    AssertionError,  # a palette picture without its palette
    LookupError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)
"""What Pillow raises on broken files, by experience."""


@contextmanager
def open_picture(
    file: Path | BinaryIO, *, place: str = "", formats: tuple[str, ...] = FORMATS
) -> Iterator[Image.Image]:
    """A picture of which the header is read; the block may decode its pixels.

    Args:
        place: what the file is called in errors; its path by default.

    Raises:
        OSError: there is none, or it cannot be used; a line that names it.
    """
    place = place or str(file)
    try:
        with Image.open(file, formats=formats) as image:
            if image.width * image.height > MAX_PIXELS:
                raise OSError(
                    f"{place} has {image.width} x {image.height} pixels, more than {MAX_PIXELS}"
                )
            yield image
    except FileNotFoundError:
        raise
    except BROKEN as error:
        if str(error).startswith(place):
            raise
        reason = " ".join(str(error).split("<_io", 1)[0].split())
        raise OSError(f"{place} cannot be decoded ({reason})") from error
