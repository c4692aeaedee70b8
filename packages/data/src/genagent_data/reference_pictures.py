"""Reference pictures: found by basename, unpacked from archives on demand, checked before use."""

import os
import tarfile
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from PIL import Image

from genagent_rewards import BROKEN, FORMATS

MAX_PIXELS = 1 << 26
"""8192x8192, 200 MB as RGB: what one picture may cost whoever decodes it."""
MAX_BYTES = 1 << 28
"""Of a file in an archive; a larger one is no picture of ``MAX_PIXELS``."""
ARCHIVES = "*.tar.gz"


class PictureFolder:
    """Pictures anywhere under a folder, by basename; the folder is walked once, when first asked.

    Example: ``PictureFolder(Path("Surrel-Fantasy-Image/images")).path("00000.jpg")``
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._found: dict[str, str] | None = None

    def path(self, name: str) -> str:
        """Where a picture is or, where there is none, where one would be."""
        if self._found is None:
            # In order of the names, so that the first of two with one basename is always the same.
            files = sorted(file for file in self.root.rglob("*") if file.is_file())
            self._found = {file.name: str(file) for file in reversed(files)}
        return self._found.get(name, str(self.root / name))


class ArchivedPictures:
    """Pictures in the ``*.tar.gz`` files of a folder, written out as they are passed over.

    A compressed archive can only be read from its front, so that asking in the order of the
    archives reads each of them once.
    """

    def __init__(self, folder: Path, *, unpacked: Path) -> None:
        """
        Args:
            folder: has the archives.
            unpacked: the pictures are written there, each under its basename.
        """
        self.unpacked = unpacked
        self.damaged: list[str] = []
        """A line for each archive that could not be read to its end."""
        self._passing = self._pass_over(sorted(folder.glob(ARCHIVES)))

    def find(self, name: str) -> Path | None:
        """The picture's own file, or None where no archive has it.

        Raises:
            OSError: a picture cannot be written.
        """
        path = self.unpacked / name
        while not path.is_file():
            if next(self._passing, None) is None:
                return None
        return path

    def _pass_over(self, archives: list[Path]) -> Iterator[Path]:
        for archive in archives:
            files = _files(archive)
            while True:
                try:
                    name, content = next(files)
                except StopIteration:
                    break
                except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
                    self.damaged.append(f"{archive}: cannot be read to its end ({error})")
                    break
                path = self.unpacked / name
                if not path.is_file():
                    _write(path, content)
                yield path


class UnusableReference(ValueError):
    """A reference picture cannot be had; the message is one line with its path."""

    def __init__(self, why: Literal["missing", "too_large", "unreadable"], line: str) -> None:
        super().__init__(line)
        self.why: Literal["missing", "too_large", "unreadable"] = why
        """A name to count by."""


def read_reference(path: Path) -> Image.Image:
    """A reference picture in RGB.

    The whole file is decoded, as the header of a broken download is often whole.

    Raises:
        UnusableReference: it is missing, cannot be decoded, or has more than ``MAX_PIXELS``.
    """
    if not path.is_file():
        raise UnusableReference("missing", f"{path}: there is no such picture")
    try:
        with warnings.catch_warnings():
            # Pillow warns of large pictures before it tells their size; here they are refused.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path, formats=FORMATS) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise _too_large(path, f"{image.width}x{image.height}")
                return image.convert("RGB")
    except UnusableReference:
        raise
    except Image.DecompressionBombError as error:
        raise _too_large(path, "more than twice as many as Pillow opens") from error
    except BROKEN as error:
        line = f"{path}: is no picture that can be decoded ({error})"
        raise UnusableReference("unreadable", line) from error


def _too_large(path: Path, size: str) -> UnusableReference:
    return UnusableReference(
        "too_large", f"{path}: has too many pixels ({size}); at most {MAX_PIXELS} are read"
    )


def _files(archive: Path) -> Iterator[tuple[str, bytes]]:
    """Basename and content of each file; links, folders and hidden files are passed over."""
    with tarfile.open(archive, "r|gz") as tar:
        for member in tar:
            name = member.name.rsplit("/", 1)[-1]
            file = tar.extractfile(member) if member.isreg() else None
            if file is not None and not name.startswith(".") and member.size <= MAX_BYTES:
                yield name, file.read()


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
