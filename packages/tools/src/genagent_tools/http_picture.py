"""From the bytes of an answer to a picture, trusting none of them."""

import base64
import io
import json
import struct
import zlib
from urllib.parse import unquote_to_bytes

from PIL import Image

FORMATS = ("PNG", "JPEG")

_BROKEN = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
"""What PIL raises on broken files, by experience."""


class BadAnswer(ValueError):
    """An answer that holds no usable picture; the message says why."""


def read_answer(body: bytes, seed: int | None) -> tuple[str | None, str | None]:
    """The base64 and the URL of the one picture in an answer.

    Args:
        seed: that was sent; an answer that names another is not an answer to this request.

    Raises:
        BadAnswer: not JSON, or not one picture.
    """
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadAnswer(f"the answer is not JSON ({error})") from error
    data = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(data, list) or len(data) != 1 or not isinstance(data[0], dict):
        raise BadAnswer(f"the answer holds not one picture: {body[:80]!r}")
    entry = data[0]
    if seed is not None and isinstance(entry.get("seed"), int) and entry["seed"] != seed:
        raise BadAnswer(f"the answer is of seed {entry['seed']}, asked was {seed}")
    encoded, url = entry.get("b64_json"), entry.get("url")
    if isinstance(encoded, str) and encoded:
        return encoded, None
    if isinstance(url, str) and url:
        return None, url
    raise BadAnswer("the answer has neither b64_json nor url")


def decode_base64(text: str) -> bytes:
    """Raises BadAnswer where it is not base64."""
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        raise BadAnswer(f"the picture is not base64 ({error})") from error


def decode_data_url(url: str) -> bytes:
    """The bytes of a ``data:`` URL. Raises BadAnswer where it cannot be read."""
    head, comma, payload = url.partition(",")
    if not comma:
        raise BadAnswer("the data URL holds no data")
    if head.endswith(";base64"):
        return decode_base64(payload)
    return unquote_to_bytes(payload)


def decode_picture(data: bytes, max_pixels: int) -> Image.Image:
    """A whole PNG or JPEG as RGB.

    Raises:
        BadAnswer: another format, broken or cut off, or more pixels than allowed; those are
            refused before they are decoded.
    """
    try:
        # Checks every chunk's checksum, which decoding does not; the file is used up by it.
        with Image.open(io.BytesIO(data), formats=FORMATS) as checked:
            width, height = checked.size
            if width * height > max_pixels:
                raise BadAnswer(f"the picture has {width}x{height} pixels, over {max_pixels}")
            checked.verify()
        with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
            return picture.convert("RGB")
    except BadAnswer:
        raise
    except _BROKEN as error:
        raise BadAnswer(f"the picture cannot be decoded ({error})") from error
