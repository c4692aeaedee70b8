import base64
import io

import pytest
from PIL import Image

from genagent_tracking import picture_grid
from genagent_tracking.pictures import data_url, presentable

GREEN, RED = (46, 160, 67), (207, 34, 46)


def checkered() -> Image.Image:
    image = Image.new("RGB", (48, 48), "white")
    image.putpixel((0, 0), (255, 0, 0))
    return image


def test_a_small_picture_grows_by_whole_pixels():
    shown = presentable(checkered())

    assert shown.size == (192, 192)
    assert shown.getpixel((3, 3)) == (255, 0, 0)
    assert shown.getpixel((4, 3)) == shown.getpixel((3, 4)) == (255, 255, 255)


@pytest.mark.parametrize(
    ("size", "expected"),
    [((100, 50), (400, 200)), ((512, 300), (512, 300)), ((1024, 2048), (320, 640))],
)
def test_sizes_shown(size: tuple[int, int], expected: tuple[int, int]):
    assert presentable(Image.new("RGB", size)).size == expected


def test_data_url_holds_the_picture():
    url = data_url(checkered())

    head, body = url.split(",")
    assert head == "data:image/png;base64"
    with Image.open(io.BytesIO(base64.b64decode(body))) as image:
        assert image.convert("RGB").tobytes() == presentable(checkered()).tobytes()


def test_grid_places_and_frames():
    blue = Image.new("RGB", (192, 192), "blue")

    grid = picture_grid([blue, blue, blue], columns=2, passed=[True, False, None])

    cell = 192 + 2 * 6 + 6
    assert grid.size == (2 * cell + 6, 2 * cell + 6)
    assert grid.getpixel((7, 7)) == GREEN
    assert grid.getpixel((cell + 7, 7)) == RED
    assert grid.getpixel((7, cell + 7)) == (255, 255, 255)
    assert grid.getpixel((20, cell + 20)) == (0, 0, 255)
    assert grid.getpixel((cell + 20, cell + 20)) == (255, 255, 255)


def test_grid_refuses_what_it_cannot_place():
    with pytest.raises(ValueError, match="no pictures"):
        picture_grid([])
    with pytest.raises(ValueError, match="2 marks for 1 pictures"):
        picture_grid([checkered()], passed=[True, False])
    with pytest.raises(ValueError, match="columns is 0"):
        picture_grid([checkered()], columns=0)
