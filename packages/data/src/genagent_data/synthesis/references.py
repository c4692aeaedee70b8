"""Reference pictures, read before anything is paid for what needs them."""

import warnings

from PIL import Image

from genagent_data.pictures import PictureStore
from genagent_data.request import Request
from genagent_data.synthesis.draft import Draft, Drop, Fate
from genagent_data.synthesis.painter import MAX_PIXELS

SIDE = 1024
"""Pixels of the longer side that a teacher is shown."""


def begun(request: Request, store: PictureStore) -> Fate:
    """A draft with the reference picture in the store, or a drop where it cannot be had.

    Raises:
        OSError: the picture cannot be stored.
    """
    if request.reference is None:
        return Draft(request=request)
    try:
        image = _opened(request.reference)
    except FileNotFoundError:
        return Drop(id=request.id, reason="reference_missing", detail=f"no {request.reference}")
    except _TooLarge as error:
        return Drop(id=request.id, reason="reference_too_large", detail=str(error))
    except (OSError, SyntaxError, ValueError) as error:
        detail = f"{request.reference}: {error}"
        return Drop(id=request.id, reason="reference_unreadable", detail=detail)
    return Draft(request=request, reference=store.put(image).name)


class _TooLarge(Exception):
    pass


def _opened(path: str) -> Image.Image:
    with warnings.catch_warnings():
        # Pillow warns before it tells the size, which is checked here.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        try:
            image = Image.open(path)
        except Image.DecompressionBombError as error:
            raise _TooLarge(f"{path}: more pixels than Pillow opens") from error
    with image:
        if image.width * image.height > MAX_PIXELS:
            size = f"{image.width}x{image.height}"
            raise _TooLarge(f"{path}: a picture of {size}; at most {MAX_PIXELS} pixels are read")
        rgb = image.convert("RGB")
    rgb.thumbnail((SIDE, SIDE))
    return rgb
