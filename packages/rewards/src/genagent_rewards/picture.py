"""A picture as one value: its name, and pixels that are decoded at most once."""

import hashlib
from pathlib import Path

from PIL import Image


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
        digest = hashlib.sha256(f"RGB {rgb.width} {rgb.height} ".encode())
        digest.update(rgb.tobytes())
        return cls(digest.hexdigest(), image=rgb)

    @property
    def path(self) -> Path | None:
        """The file that has its pixels, where it was made from one."""
        return self._path

    @property
    def image(self) -> Image.Image:
        """The pixels, RGB. Raises OSError where their file cannot be read."""
        if self._image is None:
            assert self._path is not None
            with Image.open(self._path) as image:
                self._image = image.convert("RGB")
        return self._image

    @property
    def size(self) -> tuple[int, int]:
        """Width and height; of a file no more is read than its header. Raises OSError where it
        cannot be."""
        if self._image is not None:
            return self._image.size
        assert self._path is not None
        with Image.open(self._path) as image:
            return image.size

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Picture) and self.name == other.name

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return f"Picture({self.name!r})"
