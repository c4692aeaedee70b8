"""Pictures in a grid with their requests above them, such as one before and one after."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps

from genagent_tracking.pictures import FRAMES

_SIDE = 144
"""Pixels of a picture: three for each of the miniature's 48."""
_BORDER = 4
_SPACE = 20
"""Pixels between two cells."""
_LINES = 3
_LINE = 15
"""Pixels from one line of a caption to the next."""
_CHARACTER = 6.6
"""Pixels, on average, in the font of captions."""
_ROOM = 1700
"""Pixels for a row of cells, about what MLflow's page shows without scaling."""
_INK = {"won": "#1a7f37", "lost": "#cf222e"}


@dataclass(frozen=True, kw_only=True, slots=True)
class CaptionedPictures:
    """One cell: a request, its pictures side by side, and a word on them."""

    caption: str
    pictures: tuple[Image.Image | None, ...]
    """None: there is none, and its place is left empty."""
    passed: tuple[bool | None, ...]
    """One for each: True draws a green frame, False a red one, None a grey one."""
    word: str = ""
    """Such as "won"."""


def captioned_grid(cells: Sequence[CaptionedPictures], *, title: str) -> Image.Image:
    """The grid, RGB, row by row.

    Raises:
        ValueError: no cell.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    if not cells:
        raise ValueError("a grid of no pictures; pass at least one")
    slot = _SIDE + 2 * _BORDER + 4
    inside = max(slot * max(len(cell.pictures) for cell in cells), 190)
    columns = max(1, min(len(cells), _ROOM // (inside + _SPACE)))
    rows = -(-len(cells) // columns)
    captions = [_wrapped(cell.caption, int(inside / _CHARACTER)) for cell in cells]
    above = max(caption.count("\n") + 1 for caption in captions) * _LINE + 6
    tall = above + slot + _LINE + _SPACE
    width, height = columns * (inside + _SPACE) + _SPACE, rows * tall + 44
    figure = Figure(figsize=(width / 100, height / 100), dpi=100, facecolor="white")
    # A dollar sign would open mathematics.
    how = {"va": "top", "parse_math": False}
    figure.text(_SPACE / width, 1 - 12 / height, title, fontsize=11, weight="bold", **how)
    for index, cell in enumerate(cells):
        row, column = divmod(index, columns)
        left, top = _SPACE + column * (inside + _SPACE), 44 + row * tall
        place = (left / width, 1 - (top + above - 4) / height)
        figure.text(*place, captions[index], fontsize=8.5, va="bottom", parse_math=False)
        for number, (picture, passed) in enumerate(zip(cell.pictures, cell.passed, strict=True)):
            framed = _framed(picture, passed)
            x, y = left + number * slot, top + above
            figure.figimage(np.asarray(framed), xo=x, yo=height - y - framed.height, origin="upper")
        place = (left / width, 1 - (top + above + slot) / height)
        ink = _INK.get(cell.word, "#57606a")
        figure.text(*place, cell.word, fontsize=8.5, color=ink, weight="bold", **how)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


def _framed(picture: Image.Image | None, passed: bool | None) -> Image.Image:
    shown = Image.new("RGB", (_SIDE, _SIDE), "white")
    if picture is not None:
        small = max(picture.size) <= _SIDE
        sharp = Image.Resampling.NEAREST if small else Image.Resampling.LANCZOS
        shown = ImageOps.pad(picture.convert("RGB"), (_SIDE, _SIDE), sharp, color="white")
    frame = (208, 215, 222) if passed is None else FRAMES[passed]
    return ImageOps.expand(shown, border=_BORDER, fill=frame)


def _wrapped(text: str, width: int) -> str:
    lines = textwrap.wrap(text, width)
    return "\n".join(lines[:_LINES]) + (" …" if len(lines) > _LINES else "")
