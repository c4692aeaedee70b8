import pytest
from PIL import Image

from genagent_tracking.captioned_grid import CaptionedPictures, captioned_grid

GREEN, RED, GREY, WHITE = (46, 160, 67), (207, 34, 46), (208, 215, 222), (255, 255, 255)
BLUE = Image.new("RGB", (48, 48), "blue")


def pair(caption: str, *passed: bool | None, word: str = "") -> CaptionedPictures:
    shown = (BLUE, *[None] * (len(passed) - 1))
    return CaptionedPictures(caption=caption, pictures=shown, passed=passed, word=word)


def test_each_request_has_its_pictures_side_by_side_with_frames():
    grid = captioned_grid([pair("two circles", False, True)] * 6, title="before → after")
    # Five cells of two framed pictures a row, below the title and one line of caption.
    assert grid.size == (5 * (2 * 156 + 20) + 20, 44 + 2 * (21 + 156 + 15 + 20))
    for left, top in ((20, 65), (352, 65), (20, 65 + 212)):
        assert grid.getpixel((left + 1, top + 1)) == RED
        assert grid.getpixel((left + 76, top + 76)) == (0, 0, 255)
        assert grid.getpixel((left + 156 + 1, top + 1)) == GREEN
        assert grid.getpixel((left + 156 + 76, top + 76)) == WHITE  # there is none


def test_the_caption_stands_above_and_the_word_below():
    without = captioned_grid([pair("", None, None)], title="")
    grid = captioned_grid([pair("costs $5 or $6", None, None, word="won")], title="")
    assert without.getpixel((21, 66)) == grid.getpixel((21, 66)) == GREY

    def ink(image: Image.Image, top: int, bottom: int) -> int:
        strip = image.crop((20, top, 332, bottom)).convert("L")
        return sum(strip.histogram()[:200])

    assert [ink(without, 40, 64), ink(without, 222, 240)] == [0, 0]
    assert ink(grid, 40, 64) > 50
    assert ink(grid, 222, 240) > 20


def test_a_grid_of_nothing_is_refused():
    with pytest.raises(ValueError, match="no pictures"):
        captioned_grid([], title="none")
