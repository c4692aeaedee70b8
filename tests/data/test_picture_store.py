"""Pictures by content."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from genagent_data import PictureStore


def noise(seed: int, size: int = 5) -> Image.Image:
    values = np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)
    return Image.fromarray(values)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), size=st.integers(1, 9))
def test_what_is_put_is_got_to_the_pixel(tmp_path_factory, seed, size):
    store = PictureStore(tmp_path_factory.mktemp("store"))
    picture = noise(seed, size)
    assert store.get(store.put(picture)).tobytes() == picture.tobytes()


def test_the_same_pixels_are_kept_once_under_one_name(tmp_path):
    store = PictureStore(tmp_path)
    name = store.put(noise(1))
    assert store.put(noise(1).copy()) == name
    assert store.put(noise(2)) != name
    assert len(list(tmp_path.rglob("*.png"))) == 2
    assert store.path(name) == tmp_path / name[:2] / f"{name}.png"
    assert not list(tmp_path.rglob("*.partial"))


def test_a_picture_is_kept_as_rgb(tmp_path):
    store = PictureStore(tmp_path)
    grey = Image.new("L", (3, 3), 7)
    assert store.get(store.put(grey)).getpixel((0, 0)) == (7, 7, 7)
    assert store.put(grey) == store.put(grey.convert("RGB"))


def test_an_unknown_name_is_not_found(tmp_path):
    with pytest.raises(FileNotFoundError):
        PictureStore(tmp_path).get("ab" * 32)
