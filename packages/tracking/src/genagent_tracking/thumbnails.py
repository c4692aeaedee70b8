"""Pictures of a page: small copies within it while there is room, beyond that its own files."""

import base64
import io
from dataclasses import dataclass

from markupsafe import Markup

from genagent_data import Picture, PictureStore

MOST_SIDE = 192
"""Pixels of the longer side of a copy."""
SMALL_SIDE = 160
"""Up to which a picture is shown with its pixels as squares."""
QUALITY = 85
"""Of WebP: a copy of a photograph has some 8 kB so, one of the miniature's a third of a kB."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Thumbnail:
    """What an ``img`` needs."""

    source: str
    is_small: bool
    is_outside: bool
    """Shown from its file."""


class Thumbnails:
    """Copies of pictures, each made once, up to so many characters in all."""

    def __init__(self, room: int, files: PictureStore) -> None:
        """
        Args:
            room: characters that all copies together may have.
            files: where a page finds the pictures that have no room in it.
        """
        self._room = room
        self._files = files
        self._made: dict[str, Thumbnail] = {}
        self.outside = 0
        """Pictures that are shown from their files."""

    def of(self, picture: Picture) -> Thumbnail:
        """Raises OSError where it cannot be read."""
        if made := self._made.get(picture.name):
            return made
        is_small = max(picture.size) <= SMALL_SIDE
        source = copy_url(picture) if self._room else ""
        self._room = max(self._room - len(source), 0)
        is_outside = not self._room  # as is what follows: what comes first is what a page has
        if is_outside:
            self.outside += 1
            source = self._files.path(picture.name).as_posix()
        thumbnail = Thumbnail(source=source, is_small=is_small, is_outside=is_outside)
        self._made[picture.name] = thumbnail
        return thumbnail


def copy_url(picture: Picture) -> Markup:
    """A copy of at most ``MOST_SIDE`` as ``data:image/webp;base64,…``."""
    # Of one's own, so that its pixels are let go: FLUX's have 3 MB, and a page a thousand pictures.
    own = picture if picture.path is None else Picture(picture.name, path=picture.path)
    image = own.image.copy()
    image.thumbnail((MOST_SIDE, MOST_SIDE))
    file = io.BytesIO()
    image.save(file, "WEBP", quality=QUALITY, method=4)
    return Markup("data:image/webp;base64,") + Markup(
        base64.b64encode(file.getvalue()).decode("ascii")
    )
