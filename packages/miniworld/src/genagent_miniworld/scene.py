"""Scenes of the miniature and how they look: up to nine plain shapes on a 3x3 grid, 48x48 pixels.

One cell is 16 pixels wide and holds at most one item; two items never touch, so that a picture can
be read back without doubt (``reading.py``).
"""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image

CELL = 16
SIDE = 3 * CELL
BACKGROUND = (242, 240, 234)
COLORS = {
    "red": (214, 40, 48),
    "green": (36, 160, 72),
    "blue": (44, 84, 216),
    "yellow": (240, 188, 16),
}
SHAPES = ("circle", "square", "triangle")
SIZES = {"small": 4, "large": 6}
"""Half the width of an item, pixels."""
PLACES = (
    "top-left",
    "top",
    "top-right",
    "left",
    "center",
    "right",
    "bottom-left",
    "bottom",
    "bottom-right",
)
_ITEM = re.compile(
    rf"(?:(?P<size>{'|'.join(SIZES)}) )?(?P<color>{'|'.join(COLORS)}) "
    rf"(?P<shape>{'|'.join(SHAPES)}) (?P<place>{'|'.join(PLACES)})"
)
JITTER = 1
"""An item's centre is off the cell's centre by up to this many pixels."""


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Item:
    """One shape in one cell.

    Example: ``Item(place=0, color="red", shape="circle", size="large")`` is in the top left.
    """

    place: int
    color: str
    shape: str
    size: str

    @property
    def row(self) -> int:
        return self.place // 3

    @property
    def column(self) -> int:
        return self.place % 3


Scene = tuple[Item, ...]
"""Items in reading order, at most one a place."""


def render(scene: Sequence[Item], *, seed: int = 0) -> Image.Image:
    """Draw a scene; the seed moves each item by up to JITTER pixels."""
    return Image.fromarray(render_pixels(scene, random.Random(seed)))


def render_pixels(scene: Sequence[Item], rng: random.Random) -> np.ndarray:
    """The picture as uint8 [48, 48, 3]. Raises ValueError where two items share a place."""
    if len({item.place for item in scene}) != len(scene):
        raise ValueError(f"two items share a place: {scene}")
    pixels = np.empty((SIDE, SIDE, 3), np.float32)
    pixels[:] = BACKGROUND
    for item in scene:
        dx, dy = rng.randint(-JITTER, JITTER), rng.randint(-JITTER, JITTER)
        mask = _sprite(item.shape, SIZES[item.size], dx, dy)[..., None]
        top, left = item.row * CELL, item.column * CELL
        cell = pixels[top : top + CELL, left : left + CELL]
        cell += mask * (np.asarray(COLORS[item.color], np.float32) - cell)
    return pixels.round().astype(np.uint8)


@cache
def _sprite(shape: str, half: int, dx: int, dy: int) -> np.ndarray:
    """Coverage of one cell's pixels in [0, 1], float32 [16, 16], from 8x8 samples a pixel."""
    fine = 8
    axis = (np.arange(CELL * fine) + 0.5) / fine - CELL / 2
    x, y = axis[None, :] - dx, axis[:, None] - dy
    inside = outline(shape, x / half, y / half)
    return inside.reshape(CELL, fine, CELL, fine).mean((1, 3)).astype(np.float32)


def outline(shape: str, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Which points lie inside a shape that fills the square [-1, 1]^2; y points down."""
    if shape == "circle":
        return x**2 + y**2 <= 1
    if shape == "square":
        return (abs(x) <= 1) & (abs(y) <= 1)
    if shape == "triangle":
        return (abs(x) <= (y + 1) / 2) & (y <= 1)
    raise ValueError(f"unknown shape {shape!r}; known: {', '.join(SHAPES)}")


def random_scene(rng: random.Random, count: int) -> Scene:
    """A scene of ``count`` unrelated items."""
    return tuple(
        Item(
            place=place,
            color=rng.choice(tuple(COLORS)),
            shape=rng.choice(SHAPES),
            size=rng.choice(tuple(SIZES)),
        )
        for place in sorted(rng.sample(range(9), count))
    )


def caption(scene: Sequence[Item], *, sizes: bool) -> str:
    """The explicit caption a tool obeys best: ``"large red circle top-left, blue square center"``.

    Args:
        sizes: whether the items' sizes are named.
    """
    return ", ".join(
        f"{item.size + ' ' if sizes else ''}{item.color} {item.shape} {PLACES[item.place]}"
        for item in scene
    )


def parse_caption(words: str, *, size: str) -> Scene | None:
    """What an explicit caption says; None of other words, and where it wants two items in a place.

    Args:
        size: of an item whose size is not named.

    Example: ``parse_caption("red circle top-left", size="large")``
    """
    found = [_ITEM.fullmatch(part.strip()) for part in words.split(",")]
    items = [
        Item(
            place=PLACES.index(one["place"]),
            color=one["color"],
            shape=one["shape"],
            size=one["size"] or size,
        )
        for one in found
        if one is not None
    ]
    is_explicit = len(items) == len(found) == len({item.place for item in items})
    return tuple(sorted(items)) if is_explicit else None
