"""A picture as one value: its name, and pixels that are decoded at most once."""

import hashlib
import re
from pathlib import Path

from PIL import Image

from genagent_rewards.picture_file import FORMATS, open_picture

_NAME = re.compile("[0-9a-f]{64}")


def is_picture_name(name: object) -> bool:
    """Whether a text can be the name of a picture; then it leads nowhere as part of a path."""
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


class Picture:
    """Pixels under the name that they give themselves. Equal names are the same picture.

    Example: ``Picture.of(Image.new("RGB", (48, 48))).name`` is the SHA-256 of its size and pixels.
    """

    __slots__ = ("_image", "_path", "name")

    def __init__(
        self, name: str, *, image: Image.Image | None = None, path: Path | None = None
    ) -> None:
        """A picture whose name is known, by its pixels or by the file that has them.

        Raises:
            ValueError: neither pixels nor a file.
        """
        if image is None and path is None:
            raise ValueError(f"picture {name!r} has neither pixels nor a file; give one")
        self.name = name
        self._image = image
        self._path = path

    @classmethod
    def of(cls, image: Image.Image) -> "Picture":
        """A copy as RGB, under its own name."""
        rgb = image.convert("RGB")
        return cls(_name_of(rgb), image=rgb)

    @property
    def path(self) -> Path | None:
        """The file that has its pixels, where it was made from one."""
        return self._path

    @property
    def is_stored(self) -> bool:
        """Whether it has a file as a store of pictures writes it: a PNG under its name."""
        return self._path is not None and self._path.name == f"{self.name}.png"

    @property
    def image(self) -> Image.Image:
        """The pixels, RGB. Raises OSError where their file cannot be read, or has pixels that are
        not those of the name."""
        if self._image is None:
            self._image = self.read()
        return self._image

    def read(self) -> Image.Image:
        """The pixels of its file, which are not kept. Raises OSError as ``image`` does."""
        assert self._path is not None
        with open_picture(self._path, formats=self._formats) as image:
            rgb = image.convert("RGB")
        if _name_of(rgb) != self.name:
            raise OSError(
                f"{self._path} does not hold picture {self.name[:16]}: its pixels have another "
                "hash; draw or copy it again"
            )
        return rgb

    @property
    def size(self) -> tuple[int, int]:
        """Width and height; of a file no more is read than its header. Raises OSError where it
        cannot be."""
        if self._image is not None:
            return self._image.size
        assert self._path is not None
        with open_picture(self._path, formats=self._formats) as image:
            return image.size

    @property
    def _formats(self) -> tuple[str, ...]:
        return ("PNG",) if self.is_stored else FORMATS

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Picture) and self.name == other.name

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return f"Picture({self.name!r})"


def _name_of(rgb: Image.Image) -> str:
    digest = hashlib.sha256(f"RGB {rgb.width} {rgb.height} ".encode())
    digest.update(rgb.tobytes())
    return digest.hexdigest()
