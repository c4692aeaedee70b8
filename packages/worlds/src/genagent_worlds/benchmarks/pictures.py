"""Folders of pictures that are named as a benchmark wants them; the pixels that its judge sees."""

import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from PIL import Image

from genagent_data import RecordError, Request
from genagent_data.picture_check import picture_file
from genagent_rewards import Picture
from genagent_worlds.benchmarks.benchmark import Tabled

ANY_SUFFIX = (".png", ".jpg", ".jpeg", ".webp")
_TOLD = 5


def read_pictures(
    folder: Path, benchmark: Tabled, *, tell: Callable[[str], object] | None = None
) -> dict[str, Picture]:
    """The pictures that are there and can be used, by request id; each was decoded once, and its
    pixels are read again when they are looked at.

    Args:
        folder: a file a request, named by its id: ``7.jpg``.
        tell: hears in a line what cannot be used (the first few of them), and how many are missing.

    Raises:
        ValueError: the folder is none, or has not one of the pictures that can be used.
    """
    if not folder.is_dir():
        raise ValueError(
            f"{folder} is no folder; give the one with the pictures of {benchmark.name}"
        )
    found: dict[str, Picture] = {}
    without: list[str] = []
    refused: list[str] = []
    for request in benchmark.requests:
        path = _picture_of(request, folder, benchmark.suffixes)
        try:
            if path is None:
                without.append(request.id)
            else:
                found[request.id] = Picture(picture_file(path).name, path=path)
        except RecordError as error:
            refused.append(str(error))
    first = benchmark.requests[0].id
    named = " or ".join(first + suffix for suffix in benchmark.suffixes)
    if not found and refused:
        raise ValueError(f"none of {len(refused)} pictures in {folder} can be used: {refused[0]}")
    if not found:
        raise ValueError(
            f"{folder} has no picture of {benchmark.name}; name them by their requests, {named}"
        )
    if tell is not None:
        for line in _lines(folder, benchmark, without, refused):
            tell(line)
    return found


def _lines(
    folder: Path, benchmark: Tabled, without: Sequence[str], refused: Sequence[str]
) -> Iterator[str]:
    yield from (f"counts as missing: {line}" for line in refused[:_TOLD])
    if len(refused) > _TOLD:
        yield f"{len(refused) - _TOLD} more pictures in {folder} count as missing"
    if without:
        yield (
            f"{len(without)} of {len(benchmark.requests)} pictures are missing in {folder}, the "
            f"first is {without[0]}{benchmark.suffixes[0]}"
        )


def through_jpeg(image: Image.Image) -> Image.Image:
    """What is left of a picture that was saved as JPEG at Pillow's own quality of 75, as the
    official scripts of GenEval++ and Imagine send it."""
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, format="JPEG")
    with Image.open(buffer) as again:
        return again.convert("RGB")


def _picture_of(request: Request, folder: Path, suffixes: tuple[str, ...]) -> Path | None:
    paths = (folder / f"{request.id}{suffix}" for suffix in suffixes)
    return next((path for path in paths if path.is_file()), None)
