"""Files of pictures that records name: looked at before anybody trains on them."""

import io
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from warnings import catch_warnings, simplefilter

from PIL import Image

from genagent_data.record_check import RecordError
from genagent_rewards import BROKEN, FORMATS, MAX_PIXELS, Picture, is_picture_name

_PNG_START = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
_PNG_END = b"\x00\x00\x00\x00IEND\xaeB`\x82"


def stored_picture(root: Path, name: str) -> Picture:
    """A picture of a ``PictureStore``, its file looked at but not decoded.

    Raises:
        RecordError: there is none, or it cannot be used.
    """
    if not is_picture_name(name):
        raise RecordError(
            "missing_picture",
            f"picture {name[:80]!r} is no name of a picture; names are 64 hexadecimal digits",
        )
    path = root / name[:2] / f"{name}.png"
    _check_stored(path)
    return Picture(name, path=path)


def picture_file(path: Path) -> Picture:
    """The picture of any file: a store's is decoded when it is looked at, another one now.

    Raises:
        RecordError: there is none, or it cannot be used.
    """
    name = path.stem
    if path.suffix == ".png" and path.parent.name == name[:2] and is_picture_name(name):
        _check_stored(path)
        return Picture(name, path=path)
    try:
        return decoded_picture(path.read_bytes(), str(path))
    except (OSError, ValueError) as error:
        if isinstance(error, RecordError):
            raise
        raise _missing(path) from error


def decoded_picture(content: bytes, place: str) -> Picture:
    """The picture of a file's content.

    Raises:
        RecordError: Pillow cannot decode it, or would warn of its size.
    """
    with _clear_pillow_errors(place), Image.open(io.BytesIO(content), formats=FORMATS) as image:
        return Picture.of(image)


def refuse_huge(size: tuple[int, int], place: str) -> None:
    """Raises RecordError for more pixels than Pillow decodes without a warning."""
    width, height = size
    if width * height > MAX_PIXELS:
        raise RecordError(
            "huge_picture",
            f"{place} has {width} x {height} pixels, more than {MAX_PIXELS}; make it smaller",
        )


def _check_stored(path: Path) -> None:
    # By hand, since Pillow opens a large picture with a warning, and warnings can only be caught
    # for all threads at once.
    try:
        with path.open("rb") as file:
            start = file.read(len(_PNG_START) + 8)
            file.seek(max(len(start), file.seek(0, 2) - len(_PNG_END)))
            end = file.read()
    except OSError as error:
        raise _missing(path) from error
    if not start.startswith(_PNG_START) or len(start) < len(_PNG_START) + 8:
        raise RecordError("broken_picture", f"{path} is no PNG; draw or copy it again")
    refuse_huge(struct.unpack(">II", start[len(_PNG_START) :]), str(path))
    # A copy that was cut off would be an error in the middle of training.
    if end != _PNG_END:
        raise RecordError("broken_picture", f"{path} is a PNG without its end; copy it again")


def _missing(path: Path) -> RecordError:
    return RecordError(
        "missing_picture", f"no picture {path}; bring the pictures along with the records"
    )


@contextmanager
def _clear_pillow_errors(place: str) -> Iterator[None]:
    """Pillow's ways of saying no, as one of ours."""
    try:
        with catch_warnings():
            simplefilter("error", Image.DecompressionBombWarning)
            yield
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise RecordError(
            "huge_picture", f"{place} has more than {MAX_PIXELS} pixels; make it smaller"
        ) from error
    except BROKEN as error:
        reason = str(error).split("<_io", 1)[0].strip()
        raise RecordError(
            "broken_picture", f"{place} cannot be decoded ({reason}); draw or copy it again"
        ) from error
