"""Pictures by content: each is kept once as PNG under its SHA-256 and passed by that name."""

import hashlib
import io
import os
from pathlib import Path

from PIL import Image


class PictureStore:
    """A folder of ``ab/abcdef….png``; the same pixels get the same name."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, image: Image.Image) -> str:
        """Store a picture; returns its SHA-256. Raises OSError where it cannot be written."""
        buffer = io.BytesIO()
        image.convert("RGB").save(buffer, "PNG", compress_level=1)
        name = hashlib.sha256(buffer.getvalue()).hexdigest()
        path = self.path(name)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_suffix(f".{os.getpid()}.partial")
            try:
                partial.write_bytes(buffer.getvalue())
                partial.replace(path)
            finally:
                partial.unlink(missing_ok=True)
        return name

    def get(self, name: str) -> Image.Image:
        """The picture as RGB. Raises FileNotFoundError for an unknown name."""
        with Image.open(self.path(name)) as image:
            return image.convert("RGB")

    def path(self, name: str) -> Path:
        return self.root / name[:2] / f"{name}.png"
