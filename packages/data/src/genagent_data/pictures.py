"""Pictures on disk: each is kept once as PNG, under the name that its pixels give it."""

import os
from pathlib import Path

from PIL import Image

from genagent_rewards import Picture


class PictureStore:
    """A folder of ``ab/abcdef….png``; the same pixels get the same name."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, image: Image.Image) -> Picture:
        """Store a picture. Raises OSError where it cannot be written."""
        picture = Picture.of(image)
        path = self.path(picture.name)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_suffix(f".{os.getpid()}.partial")
            try:
                picture.image.save(partial, "PNG", compress_level=1)
                partial.replace(path)
            finally:
                partial.unlink(missing_ok=True)
        return picture

    def get(self, name: str) -> Picture:
        """The picture of that name; its file is read when its pixels are looked at.

        Raises:
            FileNotFoundError: there is none.
        """
        path = self.path(name)
        if not path.is_file():
            raise FileNotFoundError(f"no picture {name} in {self.root}")
        return Picture(name, path=path)

    def path(self, name: str) -> Path:
        return self.root / name[:2] / f"{name}.png"
