"""From the bytes of an answer to a picture, trusting none of them."""

import base64
import io
import struct
import zlib
from urllib.parse import unquote_to_bytes

from PIL import Image

from genagent_endpoints import Answer, Lost

FORMATS = ("PNG", "JPEG")

_BROKEN = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    AssertionError,  # a palette picture without its palette
    LookupError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
"""What PIL raises on broken files, by experience."""


MAX_PERCENT_ENCODED = 1024 * 1024
"""Characters of a data URL without base64: each of them may take 60 bytes to be decoded."""


def read_answer(answer: Answer, seed: int | None) -> tuple[str | None, str]:
    """The base64 of the one picture in an answer, or its URL.

    Args:
        answer: JSON.
        seed: that was sent; an answer that names another is not an answer to this request.

    Raises:
        Lost: not one picture.
    """
    said = answer.json()
    data = said.get("data") if isinstance(said, dict) else None
    if not isinstance(data, list) or len(data) != 1 or not isinstance(data[0], dict):
        raise Lost(f"the answer holds not one picture: {answer.quote(said, 80)}")
    entry = data[0]
    if seed is not None and isinstance(entry.get("seed"), int) and entry["seed"] != seed:
        raise Lost(f"the answer is of seed {entry['seed']}, asked was {seed}")
    encoded, url = entry.get("b64_json"), entry.get("url")
    if isinstance(encoded, str) and encoded:
        return encoded, ""
    if isinstance(url, str) and url:
        return None, url
    raise Lost("the answer has neither b64_json nor url")


def decode_base64(text: str) -> bytes:
    """Raises Lost where it is not base64."""
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        raise Lost(f"the picture is not base64 ({error})") from error


def decode_data_url(url: str) -> bytes:
    """The bytes of a ``data:`` URL. Raises Lost where it cannot be read."""
    head, comma, payload = url.partition(",")
    if not comma:
        raise Lost("the data URL holds no data")
    if head.endswith(";base64"):
        return decode_base64(payload)
    if len(payload) > MAX_PERCENT_ENCODED:
        raise Lost(f"the data URL has {len(payload)} characters without base64")
    return unquote_to_bytes(payload)


def decode_picture(data: bytes, max_pixels: int) -> Image.Image:
    """A whole PNG or JPEG as RGB.

    Raises:
        Lost: another format, broken or cut off, or more pixels than allowed; those are
            refused before they are decoded.
    """
    try:
        # Checks every chunk's checksum, which decoding does not; the file is used up by it.
        with Image.open(io.BytesIO(data), formats=FORMATS) as checked:
            width, height = checked.size
            if width * height > max_pixels:
                raise Lost(f"the picture has {width}x{height} pixels, over {max_pixels}")
            checked.verify()
        with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
            return picture.convert("RGB")
    except Lost:
        raise
    except _BROKEN as error:
        raise Lost(f"the picture cannot be decoded ({error})") from error
