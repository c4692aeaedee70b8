"""Reading a picture back: the ground truth of the miniature, from pixels alone.

Connected components of what is not background; colour from the median pixel, shape by the best
intersection over union with the three outlines in the component's own bounding box, size from its
extent, place from its centre. What fits nothing is *unclear* and never counts as an item.
"""

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
FIT = 0.72
"""Least intersection over union with the best outline; right ones reach .85 after decoding."""
SMALL_LIMIT, EXTENT_LIMITS = 9.8, (5, 15)
"""Mean extent in pixels under which an item is small (8 against 12), and what is no item at all."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """What a picture shows.

    Example: ``Reading(items=(Item(...),), unclear=(4,))``: one item, and a blob in the centre.
    """

    items: Scene
    unclear: tuple[int, ...] = ()
    """Places of what fits no item, or of a second thing in a cell."""


def read(picture: Image.Image) -> Reading:
    """Read a picture of the miniature. Raises ValueError for another size than 48x48."""
    if picture.size != (SIDE, SIDE):
        raise ValueError(f"the verifier reads {SIDE}x{SIDE} pictures, not {picture.size}")
    from scipy import ndimage

    pixels = np.asarray(picture.convert("RGB"), np.float32)
    ink = np.linalg.norm(pixels - np.asarray(BACKGROUND), axis=-1) > INK
    labels = np.zeros(ink.shape, np.int32)
    ndimage.label(ink, output=labels)
    items: dict[int, Item] = {}
    unclear: list[int] = []
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        mask = labels[box] == number
        if mask.sum() < SPECK:
            continue
        item = _identify(pixels[box], mask, box)
        if item is None or item.place in items:
            unclear.append(_place(box))
        else:
            items[item.place] = item
    return Reading(items=tuple(sorted(items.values())), unclear=tuple(sorted(unclear)))


def _place(box: tuple[slice, slice]) -> int:
    row, column = ((side.start + side.stop) // 2 // CELL for side in box)
    return row * 3 + column


def _identify(pixels: np.ndarray, mask: np.ndarray, box: tuple[slice, slice]) -> Item | None:
    height, width = mask.shape
    low, high = EXTENT_LIMITS
    if min(height, width) < low or max(height, width) > high:
        return None
    from scipy import ndimage

    # An eroded core: edge pixels are mixed with the background.
    core = np.asarray(ndimage.binary_erosion(mask), bool)
    inks = pixels[core if core.any() else mask]
    median = np.median(inks, axis=0)
    distances = {name: float(np.linalg.norm(median - rgb)) for name, rgb in COLORS.items()}
    color = min(distances, key=distances.__getitem__)
    strays = np.linalg.norm(inks - np.asarray(COLORS[color]), axis=-1) > 1.5 * COLOR_LIMIT
    if distances[color] > COLOR_LIMIT or strays.mean() > 0.25:
        return None
    x = (np.arange(width) + 0.5) * 2 / width - 1
    y = (np.arange(height) + 0.5) * 2 / height - 1
    fits = {}
    for shape in SHAPES:
        ideal = outline(shape, x[None, :], y[:, None])
        fits[shape] = (mask & ideal).sum() / (mask | ideal).sum()
    shape = max(fits, key=fits.__getitem__)
    if fits[shape] < FIT:
        return None
    size = "small" if (height + width) / 2 < SMALL_LIMIT else "large"
    return Item(place=_place(box), color=color, shape=shape, size=size)
