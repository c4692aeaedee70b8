"""Reading a picture back: the ground truth of the miniature, from pixels alone.

Connected components of what is not background. Colour comes from the median pixel. How much of each
pixel a thing covers follows from how far the pixel is on the way from the background to that
colour; shape is the best overlap of this coverage with the three outlines of the same area and
centre of gravity, size the area's, place from the bounding box. What fits nothing is *unclear* and
never counts as an item.

Outlines in the bounding box of inked pixels are not enough: where a faint edge pixel passed the
threshold, circles became squares and triangles blobs. They misread 9 % of small triangles off the
pixel grid that flux-mini's autoencoder had decoded, and one in sixteen pictures that it drew. By
coverage all of the former are read right (``tests/miniworld/test_reading.py``).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from genagent_miniworld.scene import (
    BACKGROUND,
    CELL,
    COLORS,
    SHAPES,
    SIDE,
    Item,
    Scene,
    outline,
)

INK = 70.0
"""Distance from the background (RGB, of 441) from which a pixel belongs to something: half of the
faintest colour's, so that an anti-aliased edge pixel counts when it is at least half covered."""
SPECK = 10
"""Components of fewer pixels are noise; the smallest item, a small triangle, has 32."""
COLOR_LIMIT = 60.0
"""Largest distance of the median from a colour; the nearest two colours are 170 apart."""
FIT = 0.8
"""Least overlap with the best outline; right ones reach .91 after decoding."""
STRAYS_LIMIT = 0.25
"""Largest share of pixels of an item that are of another colour."""
SMALL_LIMIT, HALF_LIMITS = 5.0, (2.5, 7.5)
"""Half the width in pixels under which an item is small (4 against 6), and what is no item."""
AREAS = {"circle": math.pi, "square": 4.0, "triangle": 2.0}
"""Of outlines of half width 1."""
FINE = 4
"""Samples of an outline along a pixel's side."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """What a picture shows.

    Example: ``Reading(items=(Item(...),), unclear=(4,))``: one item, and a blob in the centre.
    """

    items: Scene
    unclear: tuple[int, ...] = ()
    """Places of what fits no item, or of a second thing in a cell."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Component:
    """One connected thing in a picture, measured."""

    place: int
    color: str
    """The nearest to its median pixel."""
    color_distance: float
    strays: float
    """Share of pixels far from ``color``."""
    area: float
    """Covered, in pixels."""
    fits: Mapping[str, float]
    """Overlap with each shape's outline: intersection over union of coverages."""

    @property
    def shape(self) -> str:
        """The likeliest."""
        return max(self.fits, key=self.fits.__getitem__)

    @property
    def half(self) -> float:
        """Half its width, if it is of that shape, pixels."""
        return math.sqrt(self.area / AREAS[self.shape])

    @property
    def item(self) -> Item | None:
        """What it is, if it is anything."""
        low, high = HALF_LIMITS
        if self.color_distance > COLOR_LIMIT or self.strays > STRAYS_LIMIT:
            return None
        if self.fits[self.shape] < FIT or not low <= self.half <= high:
            return None
        size = "small" if self.half < SMALL_LIMIT else "large"
        return Item(place=self.place, color=self.color, shape=self.shape, size=size)


def read(picture: Image.Image) -> Reading:
    """Read a picture of the miniature. Raises ValueError for another size than 48x48."""
    return reading_of(components(picture))


def reading_of(things: Sequence[Component]) -> Reading:
    """What is made of the components of a picture."""
    items: dict[int, Item] = {}
    unclear: list[int] = []
    for thing in things:
        item = thing.item
        if item is None or item.place in items:
            unclear.append(thing.place)
        else:
            items[item.place] = item
    return Reading(items=tuple(sorted(items.values())), unclear=tuple(sorted(unclear)))


def components(picture: Image.Image) -> list[Component]:
    """All things in a picture, from the top down. Raises ValueError for another size than 48x48."""
    if picture.size != (SIDE, SIDE):
        raise ValueError(f"the verifier reads {SIDE}x{SIDE} pictures, not {picture.size}")
    from scipy import ndimage

    pixels = np.asarray(picture.convert("RGB"), np.float32)
    ink = np.linalg.norm(pixels - np.asarray(BACKGROUND), axis=-1) > INK
    labels = np.zeros(ink.shape, np.int32)
    ndimage.label(ink, output=labels)
    things = []
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        # One pixel more on each side, for edges too faint to be ink.
        row, column = (slice(max(side.start - 1, 0), side.stop + 1) for side in box)
        mask = labels[row, column] == number
        if mask.sum() >= SPECK:
            others = (labels[row, column] != 0) & ~mask
            things.append(_measure(pixels[row, column], mask, others, _place(box)))
    return things


def _place(box: tuple[slice, slice]) -> int:
    row, column = ((side.start + side.stop) // 2 // CELL for side in box)
    return row * 3 + column


def _measure(pixels: np.ndarray, mask: np.ndarray, others: np.ndarray, place: int) -> Component:
    from scipy import ndimage

    # An eroded core: edge pixels are mixed with the background.
    core = np.asarray(ndimage.binary_erosion(mask), bool)
    inks = pixels[core if core.any() else mask]
    median = np.median(inks, axis=0)
    distances = {name: float(np.linalg.norm(median - rgb)) for name, rgb in COLORS.items()}
    color = min(distances, key=distances.__getitem__)
    strays = np.linalg.norm(inks - np.asarray(COLORS[color]), axis=-1) > 1.5 * COLOR_LIMIT
    way = median - np.asarray(BACKGROUND)
    coverage = ((pixels - np.asarray(BACKGROUND)) @ way / (way @ way)).clip(0, 1)
    coverage *= np.asarray(ndimage.binary_dilation(mask, np.ones((3, 3)))) & ~others
    return Component(
        place=place,
        color=color,
        color_distance=distances[color],
        strays=float(strays.mean()),
        area=float(coverage.sum()),
        fits={shape: _overlap(coverage, shape) for shape in SHAPES},
    )


def _overlap(coverage: np.ndarray, shape: str) -> float:
    """With the shape's outline of the same area and centre of gravity."""
    height, width = coverage.shape
    area = coverage.sum()
    half = math.sqrt(area / AREAS[shape])
    y, x = (np.arange(FINE * side) / FINE + 0.5 / FINE for side in (height, width))
    middle_y = coverage.sum(1) @ (np.arange(height) + 0.5) / area
    middle_x = coverage.sum(0) @ (np.arange(width) + 0.5) / area
    if shape == "triangle":
        middle_y -= half / 3  # Its centre of gravity is below the middle.
    fine = outline(shape, (x[None, :] - middle_x) / half, (y[:, None] - middle_y) / half)
    ideal = fine.reshape(height, FINE, width, FINE).mean((1, 3))
    return float(np.minimum(coverage, ideal).sum() / np.maximum(coverage, ideal).sum())
