"""The door of picture files: swapped, damaged, huge, of another kind, oddly named."""

import io
import resource
import struct
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tests.hostile.drawn import PNGS, chunk

from genagent_data import PictureStore
from genagent_data.pictures import png_bytes
from genagent_rewards import Picture
from genagent_rewards.picture_file import open_picture


def noise(seed: int, size: int = 6) -> Image.Image:
    values = np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)
    return Image.fromarray(values)


def as_file(image: Image.Image, kind: str) -> bytes:
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()


RED = Image.new("RGB", (6, 6), (200, 0, 0))
HUGE = (
    b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", b"\0\1\0\0\0\1\0\0\x08\x02\0\0\0") + chunk(b"IEND", b"")
)

DAMAGES = {
    "swapped": lambda whole: as_file(noise(2), "PNG"),
    "cut off": lambda whole: whole[: len(whole) // 2],
    "one bit": lambda whole: whole[:60] + bytes([whole[60] ^ 1]) + whole[61:],
    "empty": lambda whole: b"",
    "a gif of the same pixels": lambda whole: as_file(RED, "GIF"),
    "a script": lambda whole: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 6 6\n(x) show\n",
    "4 billion pixels": lambda whole: HUGE,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_stored_picture_that_is_not_itself_is_never_shown_and_is_mended(tmp_path: Path, damage):
    store = PictureStore(tmp_path)
    picture = store.put(RED)
    path = store.path(picture.name)
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    for look in (lambda: store.get(picture.name).image, lambda: png_bytes(store.get(picture.name))):
        with pytest.raises(OSError, match=picture.name[:8]) as raised:
            look()
        assert "\n" not in str(raised.value)
    assert store.find(picture.name) is None
    # Another store takes no copy of it, and the store itself is mended by what is drawn again.
    with pytest.raises(OSError):
        PictureStore(tmp_path / "other").add(store.get(picture.name))
    assert store.put(RED) == picture
    again = store.find(picture.name)
    assert again is not None and again.image.tobytes() == RED.tobytes()
    assert not list(tmp_path.rglob("*.partial"))


@given(cut=st.integers(0, 400), noise_bytes=st.binary(max_size=30))
@settings(max_examples=60)
def test_whatever_is_in_the_file_the_pixels_are_those_of_the_name(
    tmp_path_factory, cut, noise_bytes
):
    store = PictureStore(tmp_path_factory.mktemp("s"))
    name = store.put(noise(5)).name
    whole = store.path(name).read_bytes()
    store.path(name).write_bytes(whole[:cut] + noise_bytes + whole[cut + len(noise_bytes) :])
    found = store.find(name)
    assert found is None or found.image.tobytes() == noise(5).tobytes()
    assert store.put(noise(5)).name == name
    assert store.get(name).image.tobytes() == noise(5).tobytes()


@pytest.mark.parametrize(
    "name",
    [
        "",
        "ab",
        "../" * 20 + "etc/passwd",
        "/etc/passwd",
        "A" * 64,
        "0" * 63 + "\n",
        "ab" * 32 + "\0",
    ],
)
def test_a_name_that_is_no_hash_leads_nowhere(tmp_path: Path, name):
    store = PictureStore(tmp_path)
    for ask in (store.get, store.find, store.path):
        with pytest.raises(ValueError, match="names are 64 hexadecimal digits"):
            ask(name)


@given(PNGS)
def test_a_drawn_png_is_a_bounded_picture_or_one_line(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "drawn.png"
    path.write_bytes(content)
    try:
        with open_picture(path) as image:
            pixels = image.convert("RGB")
    except OSError as error:
        assert "drawn.png" in str(error)
        assert "\n" not in str(error)
    else:
        assert pixels.width * pixels.height <= 89_478_485


def test_a_picture_that_says_it_is_huge_costs_its_header(tmp_path: Path):
    path = tmp_path / "huge.png"
    path.write_bytes(HUGE)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for look in ("image", "size"):
        with pytest.raises(OSError, match=r"huge\.png"):
            getattr(Picture("ab" * 32, path=path), look)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


def test_of_more_pixels_than_pillow_only_warns_of_none_is_decoded(tmp_path: Path):
    path = tmp_path / "large.png"
    # 96 million: Pillow warns from 89 million on, and refuses twice as many.
    size = struct.pack(">II", 12_000, 8_000) + bytes((8, 2, 0, 0, 0))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", b""))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(OSError, match=r"12000 x 8000 pixels, more than 89478485"):
            _ = Picture("ab" * 32, path=path).size
