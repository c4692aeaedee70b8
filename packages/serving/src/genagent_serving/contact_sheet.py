"""All pictures of a request beside each other, the one that counts marked."""

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont, ImageOps

from genagent_data import Picture

SIDE = 384
"""Pixels of a tile's longer side; smaller pictures are enlarged by whole factors."""
CAPTION = 34
FRAME = 6
GAP = 12

_PAPER, _INK, _MARK = (255, 255, 255), (60, 64, 70), (46, 140, 70)


def contact_sheet(pictures: Sequence[Picture]) -> Image.Image:
    """One row, in order; the last one, which counts, has a green frame.

    Raises:
        ValueError: no picture.
        OSError: a picture cannot be read.
    """
    if not pictures:
        raise ValueError("a sheet of no pictures; pass at least one")
    tiles = [_tile(picture.image) for picture in pictures]
    width = sum(tile.width + 2 * FRAME + GAP for tile in tiles) + GAP
    height = max(tile.height for tile in tiles) + 2 * FRAME + CAPTION + GAP
    sheet = Image.new("RGB", (width, height), _PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=16)
    left = GAP
    for number, tile in enumerate(tiles, 1):
        is_last = number == len(tiles)
        sheet.paste(ImageOps.expand(tile, FRAME, _MARK if is_last else _PAPER), (left, GAP))
        caption = f"{number}, counts" if is_last else str(number)
        place = (left + FRAME, GAP + tile.height + 2 * FRAME + 4)
        draw.text(place, caption, fill=_MARK if is_last else _INK, font=font)
        left += tile.width + 2 * FRAME + GAP
    return sheet


def _tile(image: Image.Image) -> Image.Image:
    """The picture at the size of a tile."""
    factor = SIDE // max(image.size)
    if factor >= 1:
        size = (image.width * factor, image.height * factor)
        return image.resize(size, Image.Resampling.NEAREST)
    return ImageOps.contain(image, (SIDE, SIDE), Image.Resampling.LANCZOS)
