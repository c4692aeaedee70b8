"""Pictures as the MLflow page shows them: large enough to see, small enough to load."""

import base64
import io
import math
from collections.abc import Sequence

from PIL import Image, ImageOps

LEAST_SIDE = 192
"""Pixels; a 48x48 picture of the miniature would be a speck on the page."""
MOST_SIDE = 640
"""Pixels; the original stays in the picture store."""

FRAMES = {True: (46, 160, 67), False: (207, 34, 46), None: (255, 255, 255)}
"""Of a picture that passed, one that failed, and one that nothing is known of."""
_BORDER = 6
_GAP = 6


def enlarged(image: Image.Image) -> Image.Image:
    """An RGB copy with its short side at least ``LEAST_SIDE``.

    Enlarged by a whole factor without smoothing, so that every pixel drawn remains a square.
    """
    factor = math.ceil(LEAST_SIDE / min(image.size))
    size = (image.width * factor, image.height * factor)
    return image.convert("RGB").resize(size, Image.Resampling.NEAREST)


def presentable(image: Image.Image) -> Image.Image:
    """An RGB copy, enlarged where it is small and with its long side cut to ``MOST_SIDE``."""
    image = enlarged(image)
    if max(image.size) > MOST_SIDE:
        image.thumbnail((MOST_SIDE, MOST_SIDE), Image.Resampling.LANCZOS)
    return image


def data_url(image: Image.Image) -> str:
    """A presentable copy as ``data:image/png;base64,…``."""
    buffer = io.BytesIO()
    presentable(image).save(buffer, "PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def picture_grid(
    pictures: Sequence[Image.Image],
    *,
    columns: int = 8,
    passed: Sequence[bool | None] | None = None,
) -> Image.Image:
    """Pictures side by side, row by row, each in a cell of one size.

    Args:
        pictures: at least one, of any sizes.
        columns: cells in a row.
        passed: one for each picture: True draws a green frame, False a red one, None none.

    Raises:
        ValueError: no picture, fewer than one column, or ``passed`` of another length.
    """
    if not pictures:
        raise ValueError("a grid of no pictures; pass at least one")
    if columns < 1:
        raise ValueError(f"columns is {columns}; wants at least 1")
    marks = [None] * len(pictures) if passed is None else list(passed)
    if len(marks) != len(pictures):
        raise ValueError(f"{len(marks)} marks for {len(pictures)} pictures; give one for each")
    shown = [
        ImageOps.expand(presentable(picture), border=_BORDER, fill=FRAMES[mark])
        for picture, mark in zip(pictures, marks, strict=True)
    ]
    width = max(picture.width for picture in shown) + _GAP
    height = max(picture.height for picture in shown) + _GAP
    columns = min(columns, len(shown))
    rows = math.ceil(len(shown) / columns)
    grid = Image.new("RGB", (columns * width + _GAP, rows * height + _GAP), "white")
    for index, picture in enumerate(shown):
        row, column = divmod(index, columns)
        grid.paste(picture, (column * width + _GAP, row * height + _GAP))
    return grid
