"""Pictures on disk, by content."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from genagent_data import Picture, PictureStore


def noise(seed: int, size: int = 5) -> Image.Image:
    values = np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)
    return Image.fromarray(values)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), size=st.integers(1, 9))
def test_what_is_put_is_got_to_the_pixel(tmp_path_factory, seed, size):
    store = PictureStore(tmp_path_factory.mktemp("store"))
    image = noise(seed, size)
    put = store.put(image)
    got = store.get(put.name)
    assert put.image.tobytes() == got.image.tobytes() == image.tobytes()
    # What is read from disk still has the pixels that its name says.
    assert Picture.of(got.image) == got == put == Picture.of(image)


def test_the_same_pixels_are_kept_once_under_one_name(tmp_path):
    store = PictureStore(tmp_path)
    picture = store.put(noise(1))
    assert store.put(noise(1).copy()) == picture
    assert store.put(noise(2)) != picture
    assert len(list(tmp_path.rglob("*.png"))) == 2
    name = picture.name
    assert store.path(name) == tmp_path / name[:2] / f"{name}.png"
    assert store.path(name).is_file()
    assert not list(tmp_path.rglob("*.partial"))


def test_a_picture_is_kept_as_rgb(tmp_path):
    store = PictureStore(tmp_path)
    grey = Image.new("L", (3, 3), 7)
    assert store.get(store.put(grey).name).image.getpixel((0, 0)) == (7, 7, 7)
    assert store.put(grey) == store.put(grey.convert("RGB"))
    with Image.open(store.path(store.put(grey).name)) as file:
        assert (file.format, file.mode) == ("PNG", "RGB")


def test_what_an_image_carries_beside_its_pixels_is_no_part_of_the_picture(tmp_path):
    store = PictureStore(tmp_path)
    plain, adorned = Image.new("RGB", (3, 3), "red"), Image.new("RGB", (3, 3), "red")
    adorned.info = {"dpi": (300, 300), "transparency": (255, 0, 0), "gamma": 0.5}
    assert store.put(adorned) == store.put(plain)
    got = store.get(Picture.of(plain).name).image
    assert (got.mode, got.tobytes()) == ("RGB", plain.tobytes())


def test_a_picture_is_read_when_it_is_looked_at_and_only_once(tmp_path):
    store = PictureStore(tmp_path)
    name = store.put(noise(1)).name
    looked_at, not_yet = store.get(name), store.get(name)
    image = looked_at.image
    store.path(name).unlink()
    assert looked_at.image is image
    with pytest.raises(FileNotFoundError):
        _ = not_yet.image


def test_a_picture_that_cannot_be_written_leaves_nothing_behind(tmp_path, monkeypatch):
    def full(self, file, *more, **options):
        file.write_bytes(b"half a pic")
        raise OSError("no space left on device")

    store = PictureStore(tmp_path)
    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(OSError, match="no space left"):
        store.put(noise(1))
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_an_unknown_name_is_not_found(tmp_path):
    name = "ab" * 32
    with pytest.raises(FileNotFoundError, match=f"no picture {name} in "):
        PictureStore(tmp_path).get(name)
