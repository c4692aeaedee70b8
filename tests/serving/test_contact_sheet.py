import pytest
from PIL import Image
from tests.serving.answers import picture

from genagent_data import Picture
from genagent_serving import contact_sheet
from genagent_serving.contact_sheet import FRAME, GAP

MARK = (46, 140, 70)


def test_pictures_stand_in_order_and_the_last_one_is_framed():
    sheet = contact_sheet([picture(10), picture(200)])
    middle, step = GAP + FRAME + 192, 384 + 2 * FRAME + GAP
    assert sheet.getpixel((middle, middle)) == (10, 20, 20)
    assert sheet.getpixel((middle + step, middle)) == (200, 20, 20)
    frames = [sheet.getpixel((GAP + 1 + n * step, middle)) for n in range(2)]
    assert frames == [(255, 255, 255), MARK]


def test_large_and_oblong_pictures_fit():
    wide = Picture.of(Image.new("RGB", (2000, 500), "red"))
    sheet = contact_sheet([wide])
    assert sheet.width == 384 + 2 * FRAME + 2 * GAP
    assert sheet.getpixel((GAP + FRAME + 380, GAP + FRAME + 90)) == (255, 0, 0)


def test_no_picture_makes_no_sheet():
    with pytest.raises(ValueError, match="pass at least one"):
        contact_sheet([])
