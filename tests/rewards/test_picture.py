"""A picture as one value: named by its pixels, read once."""

import hashlib
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from genagent_rewards import Picture

SIZES = st.tuples(st.integers(1, 3), st.integers(1, 3))
COLOURS = st.tuples(*[st.integers(0, 255)] * 3)


@st.composite
def pixels(draw) -> tuple[tuple[int, int], bytes]:
    """A size and its RGB bytes; of few values, so that two of them are often the same."""
    width, height = draw(SIZES)
    count = 3 * width * height
    return (width, height), bytes(draw(st.lists(st.integers(0, 1), min_size=count, max_size=count)))


def test_the_name_is_the_hash_of_size_and_pixels():
    picture = Picture.of(Image.new("RGB", (2, 3), (1, 2, 3)))
    assert picture.name == hashlib.sha256(b"RGB 2 3 " + bytes([1, 2, 3]) * 6).hexdigest()
    # Stores and caches on disk rest on it.
    assert picture.name == "03d1f23c4e890a203fd647d093b7ae97664b2a583c5227a474bece3204752005"


@given(one=pixels(), other=pixels())
@example(one=((2, 3), bytes(18)), other=((3, 2), bytes(18)))
@example(one=((1, 1), b"\0\0\1"), other=((1, 1), b"\0\1\0"))
def test_names_are_the_same_where_size_and_pixels_are_and_only_there(one, other):
    first, second = (Picture.of(Image.frombytes("RGB", *each)) for each in (one, other))
    assert (first.name == second.name) is (one == other)
    assert (first == second) is (one == other)


@given(data=st.data(), size=SIZES, palette=st.lists(COLOURS, min_size=4, max_size=4))
def test_the_mode_that_pixels_came_in_does_not_matter(data, size, palette):
    count = size[0] * size[1]
    places = data.draw(st.lists(st.integers(0, 3), min_size=count, max_size=count))
    colours = [palette[place] for place in places]
    plain = Image.frombytes("RGB", size, b"".join(map(bytes, colours)))
    opaque = Image.frombytes("RGBA", size, b"".join(bytes((*each, 255)) for each in colours))
    indexed = Image.frombytes("P", size, bytes(places))
    indexed.putpalette(sum(palette, ()))
    for image in (plain, opaque, indexed):
        picture = Picture.of(image)
        assert picture.name == Picture.of(plain).name
        assert (picture.image.mode, picture.image.tobytes()) == ("RGB", plain.tobytes())


def test_a_grey_picture_is_named_as_the_colours_it_becomes():
    assert Picture.of(Image.new("L", (2, 2), 7)) == Picture.of(Image.new("RGB", (2, 2), (7, 7, 7)))


def test_a_file_is_read_when_it_is_looked_at_and_only_once(tmp_path: Path):
    path = tmp_path / "some.png"
    picture = Picture(Picture.of(Image.new("L", (2, 2), 9)).name, path=path)
    with pytest.raises(FileNotFoundError):
        _ = picture.image
    Image.new("L", (2, 2), 9).save(path)
    seen = picture.image
    assert (seen.mode, seen.tobytes()) == ("RGB", bytes([9]) * 12)
    path.unlink()
    assert picture.image is seen


def test_a_size_is_read_off_the_header(tmp_path: Path):
    path = tmp_path / "some.png"
    Image.new("L", (300, 200)).save(path)
    path.write_bytes(path.read_bytes()[:50])  # the header, and no pixels
    assert Picture("n", path=path).size == (300, 200)
    assert Picture("n", image=Image.new("RGB", (3, 2)), path=path).size == (3, 2)
    path.write_bytes(b"no picture")
    with pytest.raises(OSError, match=r"some\.png"):
        _ = Picture("n", path=path).size


def test_pixels_go_before_the_file(tmp_path: Path):
    image = Image.new("RGB", (2, 2))
    assert Picture("n", image=image, path=tmp_path / "none.png").image is image


def test_a_file_that_is_no_picture_is_an_os_error(tmp_path: Path):
    path = tmp_path / "some.png"
    path.write_bytes(b"no picture")
    with pytest.raises(OSError, match=r"some\.png"):
        _ = Picture("n", path=path).image


def test_neither_pixels_nor_a_file_is_refused():
    with pytest.raises(ValueError, match="picture 'n' has neither pixels nor a file; give one"):
        Picture("n")


def test_pictures_are_equal_by_name(tmp_path: Path):
    image = Image.new("RGB", (1, 1))
    shown, stored = Picture("a", image=image), Picture("a", path=tmp_path / "unread.png")
    other = Picture("b", image=image)
    assert shown == stored and hash(shown) == hash(stored)
    assert shown != other and shown != "a"
    assert {shown, stored, other} == {stored, other} and len({shown, stored, other}) == 2
    assert repr(shown) == "Picture('a')"
