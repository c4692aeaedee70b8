"""Pictures on disk: each is kept once as PNG, under the name that its pixels give it."""

import io
import os
import shutil
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image

from genagent_data.durable import sync_file, sync_folder
from genagent_rewards import Picture, is_picture_name

MAX_THREADS = 16
"""A thread holds 7 MB of a picture of 1024x1024 while it writes it."""


class PictureStore:
    """A folder of ``ab/abcdef….png``; the same pixels get the same name.

    Threads and processes may share it. A file has its name once it is whole, so that whoever is
    killed leaves no half picture, only a ``.partial`` that nobody reads. One that was damaged or
    swapped since is never taken for the picture: looking at it raises OSError, and putting the
    picture again mends it.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, image: Image.Image) -> Picture:
        """Store a picture, which is on disk when this returns.

        Hashing and compression leave Python's lock to other threads:
        ``await asyncio.to_thread(store.put, image)`` holds up no event loop.

        Raises:
            OSError: it cannot be written.
        """
        picture = Picture.of(image)
        path = self.path(picture.name)
        if self.find(picture.name) is None:
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}.partial")
            try:
                picture.image.save(partial, "PNG", compress_level=1)
                partial.replace(path)
            finally:
                partial.unlink(missing_ok=True)
        return picture

    def add(self, picture: Picture) -> Path:
        """Have a picture here under its own name, and say where; a store's file is copied as it is.

        Raises:
            ValueError: its pixels do not give it its name.
            OSError: it cannot be read or written.
        """
        path = self.path(picture.name)
        if self.find(picture.name) is not None:
            return path
        if not picture.is_stored:
            if self.put(picture.image) != picture:
                raise ValueError(f"picture {picture.name} has other pixels than its name says")
            return path
        picture.read()
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}.partial")
        try:
            assert picture.path is not None
            shutil.copyfile(picture.path, partial)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
        return path

    def put_all(self, images: Sequence[Image.Image]) -> list[Picture]:
        """``put`` for each, in order, several at a time; all are on disk when this returns.

        Raises:
            OSError: one cannot be written; others may have been.
        """
        if len(images) < 2:
            return [self.put(image) for image in images]
        with ThreadPoolExecutor(min(os.cpu_count() or 1, MAX_THREADS, len(images))) as threads:
            return list(threads.map(self.put, images))

    def sync(self, names: Iterable[str]) -> None:
        """Pictures of these names outlast a machine that goes down; ``put`` outlasts a process.

        Raises:
            OSError: one is gone, or cannot be written.
        """
        paths = [self.path(name) for name in names]
        for path in paths:
            sync_file(path)
        for folder in sorted({path.parent for path in paths}):
            sync_folder(folder)
        if paths:  # whose folders may be new, as the store itself
            sync_folder(self.root)
            sync_folder(self.root.parent)

    def get(self, name: str) -> Picture:
        """The picture of that name; its file is read when its pixels are looked at.

        Raises:
            FileNotFoundError: there is none.
            ValueError: no picture has such a name.
        """
        path = self.path(name)
        if not path.is_file():
            raise FileNotFoundError(f"no picture {name} in {self.root}")
        return Picture(name, path=path)

    def find(self, name: str) -> Picture | None:
        """The picture of that name, its file read and found to show it; None where there is none
        or the file is damaged. Raises ValueError where no picture has such a name."""
        picture = Picture(name, path=self.path(name))
        try:
            picture.read()
        except OSError:
            return None
        return picture

    def path(self, name: str) -> Path:
        """Where a picture is, or would be. Raises ValueError where no picture has such a name."""
        if not is_picture_name(name):
            raise ValueError(
                f"picture {name!r:.80} is no name of a picture; names are 64 hexadecimal digits"
            )
        return self.root / name[:2] / f"{name}.png"


def png_bytes(picture: Picture) -> bytes:
    """A picture as a PNG file; a store's file is not encoded again.

    Raises:
        OSError: it cannot be read.
    """
    if picture.is_stored:
        assert picture.path is not None
        _ = picture.image
        return picture.path.read_bytes()
    file = io.BytesIO()
    picture.image.save(file, "PNG", compress_level=1)
    return file.getvalue()
